//! One request on a connection of its own, and its answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// An answer: status, headers, body.
pub(crate) struct Answer(pub(crate) String);

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.0.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn trace(&self) -> String {
        let line = self.0.lines().find_map(|l| l.strip_prefix("portcullis-trace: "));
        line.unwrap_or_else(|| panic!("no trace id: {}", self.0)).to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.0.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }
}

pub(crate) fn send(port: u16, head: &str, body: &str) -> Answer {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return Answer(String::new()) };
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|l| format!("{l}\r\n")).collect();
    let length = body.len();
    let _hung_up = write!(
        stream,
        "{line} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    let mut answer = String::new();
    let _cut_short = stream.read_to_string(&mut answer);
    Answer(answer)
}
