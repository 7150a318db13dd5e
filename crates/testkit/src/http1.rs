//! A plain HTTP/1.1 client for tests.
//!
//! **Owns** writing a request byte for byte (no normalising of the path, no redirect, no cookie, no header of its own
//! but `Host` and `Content-Length`) and reading the answer (RFC 9112 §6: length, chunks or end of stream).
//!
//! **Does not own** TLS, retries beyond one reconnect of a kept connection, or any meaning of what is sent.
//!
//! **Flow** [`Exchange`] -> [`Connection::send`] -> [`Answer`].

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);
const MAX_LINE: usize = 256 * 1024;

/// One request as it goes on the wire.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Request target, sent as it is (RFC 9112 §3.2).
    pub target: String,
    /// Header lines in order, names as written.
    pub headers: Vec<(String, String)>,
    /// `Content-Length` is sent whenever there is a body, even an empty one.
    pub body: Option<Vec<u8>>,
}

impl Exchange {
    /// A GET without body.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// Any method, no headers, no body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), ..Self::default() }
    }

    /// A POST with `application/x-www-form-urlencoded` pairs.
    #[must_use]
    pub fn form(target: &str, pairs: &[(&str, &str)]) -> Self {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs);
        Self::new("POST", target)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(text.finish().into_bytes())
    }

    /// Any method with a JSON body.
    #[must_use]
    pub fn json(method: &str, target: &str, value: &serde_json::Value) -> Self {
        Self::new(method, target).header("Content-Type", "application/json").body(value.to_string().into_bytes())
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, bytes: Vec<u8>) -> Self {
        self.body = Some(bytes);
        self
    }

    /// Whether a header of this name (any case) is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn bytes(&self, authority: &str) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.has("host") {
            head.push_str(&format!("Host: {authority}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut out = head.into_bytes();
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }
}

/// One answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines in order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Body with transfer coding removed.
    pub body: Vec<u8>,
}

impl Answer {
    /// First header of this name, any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// All headers of this name, any case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A kept connection to one server; it reconnects when the server has closed it.
#[derive(Debug)]
pub struct Connection {
    authority: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// To an `http://host:port` base; nothing is dialled yet.
    ///
    /// # Errors
    /// When the base is not plain http.
    pub fn to(base: &str) -> Result<Self> {
        let rest = base.strip_prefix("http://").with_context(|| format!("{base}: only http:// is spoken here"))?;
        let authority = rest.split('/').next().unwrap_or(rest).to_owned();
        Ok(Self { authority, stream: None })
    }

    /// `host:port` of the server.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends one request and reads its whole answer.
    ///
    /// # Errors
    /// When the server cannot be reached, hangs up twice, says nothing for a minute or speaks no HTTP.
    pub async fn send(&mut self, exchange: &Exchange) -> Result<Answer> {
        let bytes = exchange.bytes(&self.authority);
        let head_only = exchange.method == "HEAD";
        let reused = self.stream.is_some();
        match self.attempt(&bytes, head_only).await {
            Err(_) if reused => self.attempt(&bytes, head_only).await,
            done => done,
        }
    }

    async fn attempt(&mut self, bytes: &[u8], head_only: bool) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(host_port(&self.authority)).await?),
        };
        let work = async {
            stream.get_mut().write_all(bytes).await?;
            read_answer(&mut stream, head_only).await
        };
        let (answer, keep) = tokio::time::timeout(PATIENCE, work).await.context("no answer within a minute")??;
        if keep {
            self.stream = Some(stream);
        }
        Ok(answer)
    }
}

fn host_port(authority: &str) -> String {
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    if has_port { authority.to_owned() } else { format!("{authority}:80") }
}

/// Reads one answer (interim 1xx answers are skipped); the flag says whether the connection may be used again.
pub(crate) async fn read_answer(stream: &mut BufReader<TcpStream>, head_only: bool) -> Result<(Answer, bool)> {
    loop {
        let status_line = line(stream).await?;
        let mut words = status_line.splitn(3, ' ');
        let version = words.next().unwrap_or_default();
        if !version.starts_with("HTTP/1.") {
            bail!("not an HTTP answer: {status_line:?}");
        }
        let status: u16 = words.next().unwrap_or_default().parse()?;
        let headers = header_lines(stream).await?;
        if (100..200).contains(&status) && status != 101 {
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let bodiless = head_only || status == 204 || status == 304 || status == 101;
        let framed = bodiless || read_body(stream, &mut answer).await?;
        let closes = answer.header("connection").is_some_and(|v| v.to_ascii_lowercase().contains("close"));
        let keep = framed && !closes && version == "HTTP/1.1";
        return Ok((answer, keep));
    }
}

async fn header_lines(stream: &mut BufReader<TcpStream>) -> Result<Vec<(String, String)>> {
    let mut headers = Vec::new();
    loop {
        let text = line(stream).await?;
        if text.is_empty() {
            return Ok(headers);
        }
        let Some((name, value)) = text.split_once(':') else {
            bail!("not a header line: {text:?}");
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// True when the body had a frame, false when the end of the stream was its end.
async fn read_body(stream: &mut BufReader<TcpStream>, answer: &mut Answer) -> Result<bool> {
    let chunked = answer.header("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked"));
    if chunked {
        read_chunks(stream, &mut answer.body).await?;
        return Ok(true);
    }
    if let Some(length) = answer.header("content-length") {
        let length: usize = length.parse()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        answer.body = body;
        return Ok(true);
    }
    stream.read_to_end(&mut answer.body).await?;
    Ok(false)
}

pub(crate) async fn read_chunks(stream: &mut BufReader<TcpStream>, out: &mut Vec<u8>) -> Result<()> {
    loop {
        let size = line(stream).await?;
        let digits = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(digits, 16)?;
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk).await?;
        out.append(&mut chunk);
        let after = line(stream).await?;
        if size == 0 {
            if !after.is_empty() {
                while !line(stream).await?.is_empty() {}
            }
            return Ok(());
        }
    }
}

/// One line without its end; header bytes above 127 are read as ISO 8859-1, as HTTP always did.
pub(crate) async fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut bytes = Vec::new();
    let mut limited = (&mut *stream).take(MAX_LINE as u64);
    limited.read_until(b'\n', &mut bytes).await?;
    if bytes.pop() != Some(b'\n') {
        bail!("the server hung up in the middle of a line");
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect()))
}
