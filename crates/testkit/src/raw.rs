//! Exact bytes to a server and its bytes back: for requests that no well-behaved client would send.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::http1::{Answer, read_answer};

const PATIENCE: Duration = Duration::from_secs(30);

/// One socket.
#[derive(Debug)]
pub struct RawSocket {
    stream: BufReader<TcpStream>,
}

impl RawSocket {
    /// Dials `host:port`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn dial(authority: &str) -> Result<Self> {
        let stream = TcpStream::connect(authority).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends these bytes and nothing else; may be called again for a request in pieces.
    ///
    /// # Errors
    /// When the server has hung up.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).await?;
        self.stream.get_mut().flush().await?;
        Ok(())
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// When the socket is gone.
    pub async fn finish(&mut self) -> Result<()> {
        self.stream.get_mut().shutdown().await?;
        Ok(())
    }

    /// Reads one whole answer.
    ///
    /// # Errors
    /// When the server hangs up, speaks no HTTP or says nothing for half a minute.
    pub async fn answer(&mut self) -> Result<Answer> {
        let (answer, _) = tokio::time::timeout(PATIENCE, read_answer(&mut self.stream, false))
            .await
            .context("no answer within half a minute")??;
        Ok(answer)
    }

    /// Reads whatever comes until the server hangs up.
    ///
    /// # Errors
    /// When it does not hang up within half a minute.
    pub async fn until_closed(&mut self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        tokio::time::timeout(PATIENCE, self.stream.read_to_end(&mut bytes))
            .await
            .context("not closed within half a minute")??;
        Ok(bytes)
    }
}

/// Sends these bytes on a new socket and reads one answer.
///
/// # Errors
/// As [`RawSocket::answer`].
pub async fn ask(authority: &str, bytes: &[u8]) -> Result<Answer> {
    let mut socket = RawSocket::dial(authority).await?;
    socket.send(bytes).await?;
    socket.answer().await
}
