//! The machine's own limits, measured in the same run: what the other rows are compared with.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aws_lc_rs::{digest, encoding::AsDer as _, rand::SystemRandom, rsa, signature};
use portcullis_jose::{Algorithm, SigningKey, jws};

use crate::table::{Row, Table, thousands};

/// Raw rates of one core.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// Argon2id at Keycloak's parameters, hashes per second.
    pub argon2: f64,
}

/// Runs `work` for half a second; calls per second, the best of three.
#[expect(clippy::disallowed_methods, reason = "measuring is this crate's job")]
pub fn rate(mut work: impl FnMut()) -> f64 {
    let mut best = 0.0f64;
    for _ in 0..3 {
        let start = Instant::now();
        let mut calls = 0u32;
        while start.elapsed() < Duration::from_millis(400) {
            work();
            calls += 1;
        }
        best = best.max(f64::from(calls) / start.elapsed().as_secs_f64());
    }
    best
}

/// Measures and prints.
///
/// # Errors
/// When a primitive cannot be set up.
pub fn run(table: &mut Table) -> Result<Base> {
    eprintln!("calibration ...");
    let payload = [b'x'; 900];
    let hash = rate(|| {
        std::hint::black_box(digest::digest(&digest::SHA256, &[7u8; 1200]));
    });
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).ok().context("an RSA key")?;
    let der = pair.as_der().ok().context("its DER form")?;
    let random = SystemRandom::new();
    let mut out = vec![0u8; pair.public_modulus_len()];
    let raw = rate(|| {
        let _always_fits = pair.sign(&signature::RSA_PKCS1_SHA256, &random, &payload, &mut out);
    });
    let key = SigningKey::from_pkcs8(Algorithm::RS256, "k", der.as_ref())?;
    let claims = serde_json::json!({ "filler": "x".repeat(700) }).to_string();
    let whole = rate(|| {
        std::hint::black_box(jws::encode(&key, Some("JWT"), claims.as_bytes()).ok());
    });
    let argon2 = argon2_rate()?;
    let row = |what: &str, rate: f64, note: String| Row {
        what: what.to_owned(),
        rate: thousands(rate),
        note,
        ..Row::default()
    };
    table.push(row("calibration: SHA-256 of 1,200 bytes", hash, String::new()));
    table.push(row("calibration: RSA-2048 signature, raw", raw, String::new()));
    table.push(row(
        "RS256 token through jose",
        whole,
        format!("{:.1} % below raw (target 15)", (1.0 - whole / raw) * 100.0),
    ));
    table.push(row("calibration: Argon2id m=7168 t=5 p=1, bare", argon2, String::new()));
    Ok(Base { argon2 })
}

fn argon2_rate() -> Result<f64> {
    let params = argon2::Params::new(7168, 5, 1, Some(32)).ok().context("Argon2 parameters")?;
    let kernel = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut memory = vec![argon2::Block::default(); 7168];
    let mut out = [0u8; 32];
    Ok(rate(|| {
        let _sizes_fit = kernel.hash_password_into_with_memory(b"password", b"saltsaltsaltsalt", &mut out, &mut memory);
    }))
}
