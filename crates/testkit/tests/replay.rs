//! The replayer against a server that is wrong in everything: it must say so, step by step.

use anyhow::Result;
use portcullis_testkit::golden::{self, Standing, Verdict};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes the administrator's login and every import; any other question gets an empty 418.
async fn serve(stream: TcpStream, imports: u16) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if let Some(n) = line.to_lowercase().strip_prefix("content-length: ") {
                length = n.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
            if first.is_empty() {
                first = line;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let (status, body) = if first.starts_with("POST /realms/master/") {
            (200, r#"{"access_token":"t"}"#)
        } else if first.starts_with("POST /admin/realms HTTP") {
            (imports, "")
        } else {
            (418, "")
        };
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(head.as_bytes()).await?;
    }
}

async fn wrong_server(imports: u16) -> Result<String> {
    let socket = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", socket.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(serve(stream, imports));
        }
    });
    Ok(base)
}

#[tokio::test]
async fn a_wrong_answer_differs_and_what_hangs_on_it_is_not_run() -> Result<()> {
    let report = golden::run(&wrong_server(201).await?, Some("login/consent")).await?;
    let [(_, steps)] = report.scenarios.as_slice() else {
        panic!("one scenario, not {report}");
    };
    let Verdict::Differs(fields) = &steps[0].verdict else {
        panic!("{:?}", steps[0]);
    };
    let status = fields.iter().find(|f| f.path == "/status");
    assert_eq!(status.map(|f| (f.want.as_str(), f.got.as_str())), Some(("200", "418")));
    assert_eq!(steps[1].verdict, Verdict::NotRun("no value for ${action}".to_owned()));
    let calm = [Standing::Pending, Standing::Differ];
    assert!(steps.iter().all(|s| calm.contains(&s.standing)), "{report}");
    assert_eq!(report.totals().equal, 0);
    Ok(())
}

#[tokio::test]
async fn a_refused_import_runs_nothing() -> Result<()> {
    let report = golden::run(&wrong_server(500).await?, Some("discovery")).await?;
    let steps = report.scenarios.iter().flat_map(|(_, steps)| steps);
    for step in steps {
        let Verdict::NotRun(why) = &step.verdict else {
            panic!("{step:?}");
        };
        assert!(why.contains("import of realm"), "{why}");
    }
    Ok(())
}
