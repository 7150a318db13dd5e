//! The plain client against a scripted server: what it sends is exact, and every framing of an answer is read.

use anyhow::Result;
use portcullis_testkit::http1::{Connection, Exchange};
use portcullis_testkit::raw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers each connection with these bytes after its first read, and gives what it read.
async fn scripted(answers: Vec<&'static str>) -> Result<(String, JoinHandle<Result<Vec<String>>>)> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let authority = socket.local_addr()?.to_string();
    let task = tokio::spawn(async move {
        let mut seen = Vec::new();
        for answer in answers {
            let (mut stream, _) = socket.accept().await?;
            let mut bytes = vec![0; 4096];
            let n = stream.read(&mut bytes).await?;
            bytes.truncate(n);
            seen.push(String::from_utf8(bytes)?);
            stream.write_all(answer.as_bytes()).await?;
        }
        Ok(seen)
    });
    Ok((authority, task))
}

#[tokio::test]
async fn rfc_9112_6_every_framing_is_read() -> Result<()> {
    let answers = vec![
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nx-a:  2 \r\n\r\nok",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nok",
    ];
    let count = answers.len();
    let (authority, task) = scripted(answers).await?;
    let mut server = Connection::to(&format!("http://{authority}"))?;
    for _ in 0..count {
        let answer = server.send(&Exchange::get("/a//../%2F?x=<y>").header("X-Odd", "1")).await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        assert!(
            answer.headers.is_empty()
                || answer.header("CONTENT-length") == Some("2")
                || answer.header("transfer-encoding").is_some()
        );
    }
    for seen in task.await?? {
        assert_eq!(seen, format!("GET /a//../%2F?x=<y> HTTP/1.1\r\nHost: {authority}\r\nX-Odd: 1\r\n\r\n"));
    }
    Ok(())
}

#[tokio::test]
async fn an_answer_cut_short_or_no_http_is_an_error() -> Result<()> {
    for answer in
        ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\n"]
    {
        let (authority, _) = scripted(vec![answer]).await?;
        assert!(raw::ask(&authority, b"GET / HTTP/1.1\r\n\r\n").await.is_err(), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn raw_bytes_go_out_as_they_are() -> Result<()> {
    let (authority, task) = scripted(vec!["HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"]).await?;
    let answer = raw::ask(&authority, b"G\tT / HTTP/9.9\n\n").await?;
    assert_eq!(answer.status, 400);
    assert_eq!(task.await??, ["G\tT / HTTP/9.9\n\n"]);
    Ok(())
}
