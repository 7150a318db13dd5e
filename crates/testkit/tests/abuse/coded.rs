//! DS-12: bodies are never inflated, answers never deflated (a bomb inflates a thousandfold; BREACH reads secrets from sizes).

use anyhow::Result;
use portcullis_testkit::http1::Exchange;

use crate::ground::{House, admin_token, login, open, party, refresh, tokens};
use crate::limits::{Body, DOORS, FORM, OIDC};

/// RFC 1952 with one stored block (RFC 1951 §3.2.4): what any inflater gives back as `text`.
fn gzip(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(text);
    out.extend((!crc).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

#[test]
fn the_gzip_of_the_test_is_gzip() {
    // `printf x | gzip -n` has the same check sum and length.
    assert_eq!(gzip(b"x")[16..], [0x83, 0x16, 0xdc, 0x8c, 1, 0, 0, 0]);
}

#[tokio::test]
async fn ds_12_coded_bodies_are_refused_at_every_door() -> Result<()> {
    let server = open(House::Strict).await?;
    let mut app = party(&server, "app")?;
    let held = login(&mut app).await?;
    let form = format!("grant_type=refresh_token&client_id=app&refresh_token={}", held.refresh);
    let token = format!("{OIDC}/token");
    for (coding, body) in [
        (Some("gzip"), gzip(form.as_bytes())),
        (Some("x-gzip, identity"), gzip(form.as_bytes())),
        (None, gzip(form.as_bytes())),
        // Who is in front of this server may read it in another way than this server.
        (Some("gzip"), form.clone().into_bytes()),
        (Some("br"), form.clone().into_bytes()),
        (Some("zstd"), form.clone().into_bytes()),
        (Some("deflate"), form.clone().into_bytes()),
        (Some("\u{fffd}"), form.clone().into_bytes()),
    ] {
        let mut ask = Exchange::new("POST", &token).header("Content-Type", FORM).body(body);
        if let Some(coding) = coding {
            ask = ask.header("Content-Encoding", coding);
        }
        let answer = server.client()?.send(&ask).await?;
        assert_eq!(answer.status, 400, "{coding:?}: {}", answer.text());
        assert!(!answer.text().contains("_token\""), "{coding:?}");
    }
    for &(_, _, path, body, _) in DOORS {
        if body == Body::Form {
            let ask = Exchange::new("POST", path).header("Content-Type", FORM).header("Content-Encoding", "gzip");
            let answer = server.client()?.send(&ask.body(gzip(b"client_id=app"))).await?;
            assert!(matches!(answer.status, 400 | 401), "{path}: {}", answer.status);
        }
    }
    let bearer = format!("Bearer {}", admin_token(&server).await?);
    let change = |body: Vec<u8>| {
        Exchange::new("PUT", "/admin/realms/yard")
            .header("Content-Type", "application/json")
            .header("Authorization", &bearer)
            .body(body)
    };
    let text = br#"{"displayName":"coded"}"#;
    let answer = server.client()?.send(&change(gzip(text)).header("Content-Encoding", "gzip")).await?;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(server.client()?.send(&change(text.to_vec())).await?.status, 204, "as it is");
    let plain = Exchange::new("POST", &token).header("Content-Type", FORM).header("Content-Encoding", "identity");
    let next = tokens(&server.client()?.send(&plain.body(form.into_bytes())).await?)?;
    tokens(&refresh(&mut app, &next.refresh).await?)?;
    Ok(())
}

#[tokio::test]
async fn ds_12_answers_are_not_coded() -> Result<()> {
    let server = open(House::Strict).await?;
    for &(_, _, path, ..) in DOORS {
        let ask = Exchange::get(path).header("Accept-Encoding", "gzip, deflate, br, zstd");
        let answer = server.client()?.send(&ask).await?;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    Ok(())
}
