//! The ear at 127.0.0.1:9877, where the server under test makes its back-channel calls.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http1::{line, read_chunks};

/// Port that the demo realm names.
const PORT: u16 = 9877;

/// One call that came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
struct Heard {
    calls: Mutex<Vec<Call>>,
    news: Notify,
}

/// Listens until it is dropped; answers 200 to everything.
pub(crate) struct Listener {
    heard: Arc<Heard>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(crate) async fn start() -> Result<Self> {
        let socket = TcpListener::bind(("127.0.0.1", PORT))
            .await
            .with_context(|| format!("port {PORT} is taken: is another replay running?"))?;
        let heard = Arc::new(Heard::default());
        let told = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = socket.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move { serve(stream, &told).await });
            }
        });
        Ok(Self { heard, task })
    }

    /// Calls to `path` so far, as soon as there are `count` or the time is over.
    pub(crate) async fn wait(&self, path: &str, count: usize, limit: Duration) -> Vec<Call> {
        let enough = async {
            loop {
                let news = self.heard.news.notified();
                if self.calls(path).len() >= count {
                    return;
                }
                news.await;
            }
        };
        let _ = tokio::time::timeout(limit, enough).await;
        self.calls(path)
    }

    fn calls(&self, path: &str) -> Vec<Call> {
        let calls = self.heard.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |c: &&Call| c.path.split('?').next() == Some(path);
        calls.iter().filter(here).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.heard.calls.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

async fn serve(stream: TcpStream, heard: &Heard) {
    let mut stream = BufReader::new(stream);
    while let Ok(call) = read_call(&mut stream).await {
        heard.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        heard.news.notify_waiters();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn read_call(stream: &mut BufReader<TcpStream>) -> Result<Call> {
    let first = line(stream).await?;
    let mut words = first.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let path = words.next().unwrap_or_default().to_owned();
    let (mut length, mut chunked, mut content_type) = (0, false, None);
    loop {
        let header = line(stream).await?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse()?,
            "transfer-encoding" => chunked = value.contains("chunked"),
            "content-type" => content_type = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    if chunked {
        read_chunks(stream, &mut body).await?;
    } else {
        stream.read_exact(&mut body).await?;
    }
    Ok(Call { method, path, content_type, body: String::from_utf8_lossy(&body).into_owned() })
}
