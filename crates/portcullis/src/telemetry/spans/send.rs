//! From the queue to the collector. A collector that is away costs one line and the spans that find no room, nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_client::{CallError, Door, Reach};
use tokio::sync::{mpsc, watch};

use super::Settings;
use super::collect::Finished;
use super::encode;
use crate::failure::Failure;
use crate::telemetry::metrics;

/// Spans of one request.
const BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);

/// Pauses between tries while the collector is away.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is left when the server stops is sent within this time, or dropped.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// Largest file of headers, bytes, and most of them.
const MAX_HEADERS: (u64, usize) = (16 * 1024, 16);

/// Sends spans to a collector.
pub struct Exporter {
    door: Door,
    url: String,
    service: String,
    /// May hold a secret: never written anywhere.
    headers: Arc<[(String, String)]>,
    queue: mpsc::Receiver<Finished>,
    away: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Taken,
    /// It can be tried again.
    Later,
    /// The collector will never take it.
    Refused,
}

impl Exporter {
    pub(super) fn new(settings: &Settings, queue: mpsc::Receiver<Finished>) -> Result<Self, Failure> {
        let door = Door::new(Reach::Configured).map_err(|e| Failure::failed(format!("tracing.otlp: {e}")))?;
        let headers = settings.headers_file.as_deref().map(headers).transpose()?.unwrap_or_default();
        let (url, service) = (settings.url.clone(), settings.service.clone());
        Ok(Self { door, url, service, headers: headers.into(), queue, away: false })
    }

    /// Sends until `stop`, then what is left, within three seconds.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut pause = FIRST_PAUSE;
        while !*stop.borrow() {
            tokio::select! {
                () = self.gather(&mut batch) => {}
                _ = stop.changed() => break,
            }
            if batch.is_empty() {
                // Nobody can open a span any more.
                return;
            }
            let sent = tokio::select! {
                sent = self.send(&batch) => sent,
                _ = stop.changed() => break,
            };
            match sent {
                Sent::Taken | Sent::Refused => {
                    batch.clear();
                    pause = FIRST_PAUSE;
                }
                // The batch stays, the queue fills, and what finds no room is counted: memory does not grow.
                Sent::Later => {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = stop.changed() => break,
                    }
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
        self.finish(batch).await;
    }

    /// Fills a batch: a first span, however long it takes, and what comes within a second of it.
    async fn gather(&mut self, batch: &mut Vec<Finished>) {
        if batch.is_empty() && self.queue.recv_many(batch, BATCH).await == 0 {
            return;
        }
        let more = async { while batch.len() < BATCH && self.queue.recv_many(batch, BATCH - batch.len()).await > 0 {} };
        let _full_or_late = tokio::time::timeout(GATHER, more).await;
    }

    async fn finish(mut self, mut batch: Vec<Finished>) {
        let last = async {
            loop {
                while batch.len() < BATCH
                    && let Ok(span) = self.queue.try_recv()
                {
                    batch.push(span);
                }
                if batch.is_empty() || self.send(&batch).await == Sent::Later {
                    return;
                }
                batch.clear();
            }
        };
        let _in_time = tokio::time::timeout(STOP_WITHIN, last).await;
        dropped(batch.len() + self.queue.len());
    }

    async fn send(&mut self, batch: &[Finished]) -> Sent {
        let body = encode::request(&self.service, batch);
        let answered = self.door.post(&self.url, &self.headers, body).await;
        let (sent, cause) = match answered {
            Ok(200..=299) => (Sent::Taken, String::new()),
            // OTLP 1.x, §Retryable response codes.
            Ok(status @ (429 | 502 | 503 | 504)) => (Sent::Later, format!("it answered {status}")),
            Ok(status) => (Sent::Refused, format!("it answered {status}")),
            Err(CallError::Refused { cause, .. }) => (Sent::Later, cause.to_owned()),
            Err(CallError::Failed { cause, .. }) => (Sent::Later, cause),
        };
        if sent == Sent::Taken {
            metrics::add(&metrics::counters().spans_sent, batch.len());
        } else if sent == Sent::Refused {
            dropped(batch.len());
        }
        self.tell(sent, &cause);
        sent
    }

    /// One line when an outage begins, one when it is over.
    fn tell(&mut self, sent: Sent, cause: &str) {
        let away = sent != Sent::Taken;
        if away && !self.away {
            let collector = self.url.as_str();
            tracing::warn!(collector, cause, "spans cannot be sent; the newest are dropped while it lasts");
        } else if !away && self.away {
            tracing::info!(collector = self.url.as_str(), "spans are sent again");
        }
        self.away = away;
    }
}

fn dropped(count: usize) {
    metrics::add(&metrics::counters().spans_dropped, count);
}

/// `Name: value` lines; empty ones and those that begin with `#` are left out. What is wrong is told by its number, not its text.
fn headers(path: &Path) -> Result<Vec<(String, String)>, Failure> {
    let wrong = |what: String| Failure::configuration(format!("tracing.headers_file {}: {what}", path.display()));
    let length = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?.len();
    if length > MAX_HEADERS.0 {
        return Err(wrong("it is too long".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let mut headers = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        let refused = || wrong(format!("line {}: a header is written as Name: value", at + 1));
        let (name, value) = line.split_once(':').ok_or_else(refused)?;
        let (name, value) = (name.trim(), value.trim());
        http::HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        http::HeaderValue::from_str(value).map_err(|_| refused())?;
        headers.push((name.to_owned(), value.to_owned()));
    }
    if headers.len() > MAX_HEADERS.1 {
        return Err(wrong("it has too many headers".to_owned()));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collector that answers each request with the next status.
    fn answering(statuses: &'static [u16]) -> String {
        use std::io::{BufRead as _, Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for status in statuses {
                let (stream, _) = listener.accept().unwrap();
                let mut reader = std::io::BufReader::new(stream);
                let (mut line, mut length) = (String::new(), 0);
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    length = line.strip_prefix("content-length: ").map_or(length, |n| n.trim().parse().unwrap());
                }
                reader.read_exact(&mut vec![0; length]).unwrap();
                write!(reader.get_mut(), "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    .unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn otlp_only_what_may_go_better_later_is_tried_again() {
        use Sent::{Later, Refused, Taken};
        let url = answering(&[200, 400, 401, 413, 429, 502, 503, 504, 307, 500, 204]);
        let (_sender, queue) = mpsc::channel(1);
        let mut exporter = Exporter::new(&Settings::to(&url).unwrap(), queue).unwrap();
        let mut seen = Vec::new();
        for _ in 0..11 {
            seen.push((exporter.send(&[]).await, exporter.away));
        }
        let wanted = [Taken, Refused, Refused, Refused, Later, Later, Later, Later, Refused, Refused, Taken];
        assert_eq!(seen, wanted.map(|sent| (sent, sent != Taken)));
        assert_eq!(exporter.send(&[]).await, Later, "nobody listens");
    }

    #[test]
    fn lg_02_a_header_that_is_none_is_told_by_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("headers");
        std::fs::write(&file, "# of the collector\nAuthorization: Bearer canary\n\nX-Scope: a:b\n").unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(&file).unwrap(), [pair("Authorization", "Bearer canary"), pair("X-Scope", "a:b")]);
        for (text, words) in [
            ("Authorization Bearer canary", "line 1: a header"),
            ("A: b\nAuthorization\u{7f}: canary", "line 2"),
            ("A: canary\u{1}", "line 1"),
            (&"A: canary\n".repeat(17), "too many"),
            (&"A: canary\n".repeat(2000), "too long"),
        ] {
            std::fs::write(&file, text).unwrap();
            let error = headers(&file).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("canary"), "{error}");
        }
        assert!(headers(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
