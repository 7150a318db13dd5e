//! DS-04: floods of HTTP/2 frames, written frame by frame (RFC 9113 §4).

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Served;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Codes of a GOAWAY (RFC 9113 §7); `CALM` is `ENHANCE_YOUR_CALM`.
const PROTOCOL_ERROR: u32 = 1;
const CALM: u32 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = length[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// The header block of `GET path` (RFC 7541: static table, nothing kept).
fn get(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (index, text) in [(0x01, "localhost"), (0x04, path)] {
        block.extend([index, u8::try_from(text.len()).unwrap()]);
        block.extend(text.as_bytes());
    }
    block
}

fn request(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &get(path))
}

/// A field that no table knows.
fn field(number: usize) -> Vec<u8> {
    let (name, value) = (format!("x-{number}"), "v".repeat(100));
    let mut block = vec![0x00, u8::try_from(name.len()).unwrap()];
    block.extend(name.as_bytes());
    block.push(100);
    block.extend(value.as_bytes());
    block
}

/// A request without a body that says it has one of five bytes.
fn lies(stream: u32) -> Vec<u8> {
    let block = [get("/waits"), b"\x00\x0econtent-length\x015".to_vec()].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// Stream ids of a client.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// A frame as it came: kind, flags, stream, payload.
type Frame = (u8, u8, u32, Vec<u8>);

/// The next frame; `None` when the server closed. One that never does fails the test instead of holding it.
async fn next(from: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let read = async {
        let mut head = [0; 9];
        from.read_exact(&mut head).await.ok()?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let mut payload = vec![0; usize::try_from(number(&head[..3])).unwrap()];
        from.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], number(&head[5..]), payload))
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("neither an answer nor a close")
}

async fn dial(served: &Served) -> TcpStream {
    let mut socket = served.dial().await;
    socket.set_nodelay(true).unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    socket.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    socket
}

/// The body of a stream's answer.
async fn body(socket: &mut TcpStream, of: u32) -> String {
    loop {
        let (kind, _, stream, payload) = next(socket).await.expect("closed");
        assert!(kind != GOAWAY && (kind, stream) != (RST_STREAM, of), "{kind} {stream} {payload:?}");
        if kind == DATA && stream == of && !payload.is_empty() {
            return String::from_utf8(payload).unwrap();
        }
    }
}

/// Sends a flood and reads on until the server closes: the code of its GOAWAY.
async fn flood(served: &Served, bytes: Vec<u8>) -> Option<u32> {
    let (mut read, mut write) = dial(served).await.into_split();
    let writing = tokio::spawn(async move {
        // The server closes in the middle of it.
        let _cut = write.write_all(&bytes).await;
        write
    });
    let mut code = None;
    while let Some((kind, _, _, payload)) = next(&mut read).await {
        if kind == GOAWAY {
            code = payload.get(4..8).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        }
    }
    drop(writing.await.unwrap());
    code
}

/// A browser at work: many requests on one connection, some of them given up.
async fn honest(served: &Served) {
    let mut socket = dial(served).await;
    for stream in streams(150) {
        if stream % 20 == 1 {
            socket.write_all(&request(stream, "/waits")).await.unwrap();
            socket.write_all(&frame(PING, 0, 0, &[0; 8])).await.unwrap();
            while next(&mut socket).await.expect("closed").0 != PING {}
            socket.write_all(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await.unwrap();
        } else {
            socket.write_all(&request(stream, "/")).await.unwrap();
            assert_eq!(body(&mut socket, stream).await, "hello", "{stream}");
        }
    }
}

#[tokio::test]
async fn ds_04_floods_of_frames_end_their_connection() {
    let served = Served::with(|_| {}).await;
    honest(&served).await;
    let reset = |stream| frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let open = |stream, path| frame(HEADERS, END_HEADERS, stream, &get(path));
    let floods: [(&str, Vec<u8>); 8] = [
        ("rapid reset", streams(20_000).flat_map(|n| [request(n, "/"), reset(n)].concat()).collect()),
        (
            "rapid reset of what waits",
            streams(20_000).flat_map(|n| [request(n, "/waits"), reset(n)].concat()).collect(),
        ),
        (
            "resets made by the server: a window that overflows",
            streams(20_000)
                .flat_map(|n| [open(n, "/waits"), frame(WINDOW_UPDATE, 0, n, &0x7fff_ffff_u32.to_be_bytes())].concat())
                .collect(),
        ),
        ("resets made by the server: a length that lies", streams(20_000).flat_map(lies).collect()),
        (
            "resets made by the server: data behind the end",
            streams(20_000).flat_map(|n| [request(n, "/waits"), frame(DATA, 0, n, b"x")].concat()).collect(),
        ),
        (
            "continuation",
            std::iter::once(frame(HEADERS, END_STREAM, 1, &get("/")))
                .chain((0..20_000).map(|n| frame(CONTINUATION, 0, 1, &field(n))))
                .flatten()
                .collect(),
        ),
        (
            "empty continuation",
            std::iter::once(frame(HEADERS, END_STREAM, 1, &get("/")))
                .chain((0..20_000).map(|_| frame(CONTINUATION, 0, 1, &[])))
                .flatten()
                .collect(),
        ),
        (
            "empty data",
            std::iter::once(open(1, "/waits")).chain((0..200_000).map(|_| frame(DATA, 0, 1, &[]))).flatten().collect(),
        ),
    ];
    for (name, bytes) in floods {
        // Data behind the end of a stream is no stream's own fault any more (RFC 9113 §5.1).
        let expected = if name.ends_with("behind the end") { PROTOCOL_ERROR } else { CALM };
        assert_eq!(flood(&served, bytes).await, Some(expected), "{name}");
        honest(&served).await;
    }
    served.is_alive().await;
    served.end().await;
}

/// Frames that want an answer, from a peer that reads none: what is not read is not kept but stops the peer.
#[tokio::test]
async fn ds_04_unread_answers_stop_their_peer() {
    let served = Served::with(|_| {}).await;
    for (name, one) in [("ping", frame(PING, 0, 0, &[0; 8])), ("settings", frame(SETTINGS, 0, 0, &[]))] {
        let mut socket = dial(&served).await;
        socket.write_all(&request(1, "/")).await.unwrap();
        assert_eq!(body(&mut socket, 1).await, "hello");
        let bytes = one.repeat(10_000);
        let (mut sent, mut idle) = (0, 0);
        // Stopped: an honest peer was served again and again, and nothing more was taken.
        while idle < 50 {
            // Where the last write was cut, the next one goes on: frames stay whole.
            match socket.try_write(&bytes[sent % one.len()..]) {
                Ok(count) => (sent, idle) = (sent + count, 0),
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{name}");
                    served.is_alive().await;
                    idle += 1;
                }
            }
            // What the kernel holds on both ways is a few megabytes.
            assert!(sent < 64 * 1024 * 1024, "{name}: {sent} bytes taken and not one answer read");
        }
    }
    honest(&served).await;
    served.end().await;
}

#[tokio::test]
async fn ds_26_a_panic_spoils_no_other_stream() {
    let served = Served::with(|_| {}).await;
    let mut socket = dial(&served).await;
    socket.write_all(&request(1, "/waits")).await.unwrap();
    for stream in streams(60).skip(1) {
        let (path, expected) = if stream % 4 == 1 { ("/", "hello") } else { ("/panics", "Internal server error.\n") };
        socket.write_all(&request(stream, path)).await.unwrap();
        assert_eq!(body(&mut socket, stream).await, expected, "{stream}");
    }
    drop(socket);
    served.end().await;
}
