//! Owns the client's end of one HTTP/1.1 connection: a request at a time, kept alive. Knows
//! nothing of what is asked. Invariant: an exchange has one of three ends, and only a complete
//! answer is an answer: the request never left, or its outcome is unknown, or here is the answer.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// No server takes longer than this over anything; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries of what found the disk late.
const DISK_PAUSE: Duration = Duration::from_millis(20);
const READ_BYTES: usize = 16 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A request with everything that the tests ever vary.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    pub token: Option<&'a str>,
    /// JSON, or what pretends to be.
    pub body: Option<&'a str>,
}

impl<'a> Request<'a> {
    #[must_use]
    pub fn get(path: &'a str) -> Self {
        Self { method: "GET", path, token: None, body: None }
    }

    #[must_use]
    pub fn post(path: &'a str, body: &'a str) -> Self {
        Self { method: "POST", path, token: None, body: Some(body) }
    }

    #[must_use]
    pub fn with_token(self, token: &'a str) -> Self {
        Self { token: Some(token), ..self }
    }

    /// The request as it goes over the connection.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", self.method, self.path);
        if let Some(token) = self.token {
            text += &format!("Authorization: Bearer {token}\r\n");
        }
        if let Some(body) = self.body {
            text +=
                &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += self.body.unwrap_or_default();
        text.into_bytes()
    }
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; the name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether it was refused because accepted commands wait too long for the disk.
    #[must_use]
    pub fn finds_the_disk_late(&self) -> bool {
        self.status == 503 && self.json()["code"] == "SYNC_DELAYED"
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in the body of {self:?}"),
        }
    }

    fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// How an exchange ended.
#[derive(Debug)]
pub enum Outcome {
    Answered(Answer),
    /// No byte of the request has left: the server knows nothing of it.
    NotSent(io::Error),
    /// Some or all of the request has left, and no complete answer came.
    Unknown(io::Error),
}

/// One server, at most one connection to it.
#[derive(Debug)]
pub struct HttpClient {
    server: SocketAddr,
    stream: Option<TcpStream>,
}

impl HttpClient {
    #[must_use]
    pub fn new(server: SocketAddr) -> Self {
        Self { server, stream: None }
    }

    /// Sends a request over the connection, or over a new one, and waits for the answer.
    ///
    /// # Panics
    /// If the server neither answers nor hangs up.
    pub fn send(&mut self, request: &Request<'_>) -> Outcome {
        let mut stream = match self.stream.take().map_or_else(|| connect(self.server), Ok) {
            Ok(stream) => stream,
            Err(error) => return Outcome::NotSent(error),
        };
        let bytes = request.encode();
        let mut written = 0;
        while written < bytes.len() {
            match stream.write(&bytes[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if written == 0 => return Outcome::NotSent(error),
                Err(error) => return Outcome::Unknown(error),
            }
        }
        match read_answer(&mut stream) {
            Ok(answer) => {
                self.stream = (!answer.closes()).then_some(stream);
                Outcome::Answered(answer)
            }
            Err(error) => {
                let hangs =
                    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                assert!(!hangs, "{} {}: no answer", request.method, request.path);
                Outcome::Unknown(error)
            }
        }
    }

    /// [`Self::send`], again while the disk is late: a machine on which much is tested at once may
    /// be that slow, and nothing was done.
    ///
    /// # Panics
    /// As [`Self::send`], and if the disk stays late.
    pub fn persist(&mut self, request: &Request<'_>) -> Outcome {
        let begun = Instant::now();
        loop {
            let outcome = self.send(request);
            if !matches!(&outcome, Outcome::Answered(answer) if answer.finds_the_disk_late()) {
                return outcome;
            }
            assert!(begun.elapsed() < PATIENCE, "{} {}: late", request.method, request.path);
            thread::sleep(DISK_PAUSE);
        }
    }

    /// [`Self::persist`] where the server is known to be up.
    ///
    /// # Panics
    /// If there is no answer.
    pub fn ask(&mut self, request: &Request<'_>) -> Answer {
        match self.persist(request) {
            Outcome::Answered(answer) => answer,
            other => panic!("{} {}: {other:?}", request.method, request.path),
        }
    }
}

/// Connects to a server on this machine.
///
/// # Errors
/// Nobody listens there.
pub fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    // While nobody listens on a port, a connection to it may be given that very port as its own and
    // then be connected to itself.
    if stream.local_addr()? == server {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer with a `Content-Length`.
///
/// # Errors
/// The stream ended or broke before the answer was complete, or what came is no such answer.
pub fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(place) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
            break place + HEAD_END.len();
        }
        read_more(stream, &mut bytes)?;
    };
    let (status, headers) = parse_head(&bytes[..head_len])?;
    let mut answer = Answer { status, headers, body: Vec::new() };
    let body_len = answer.header("content-length").and_then(|value| value.parse::<usize>().ok());
    let body_len = body_len.ok_or_else(|| malformed("no length"))?;
    while bytes.len() < head_len + body_len {
        read_more(stream, &mut bytes)?;
    }
    answer.body = bytes.split_off(head_len);
    if answer.body.len() > body_len {
        return Err(malformed("more than one answer to one request"));
    }
    Ok(answer)
}

fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; READ_BYTES];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                bytes.extend_from_slice(&chunk[..count]);
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

type Head = (u16, Vec<(String, String)>);

fn parse_head(bytes: &[u8]) -> io::Result<Head> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the head is not text"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| malformed("no status line"))?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Ok((status, lines.filter_map(header).collect()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that reads a request per entry and writes the entry, then hangs up.
    fn serve(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let mut bytes = Vec::new();
                while !bytes.ends_with(HEAD_END) {
                    read_more(&mut stream, &mut bytes).unwrap();
                }
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn one_connection_takes_several_requests() {
        let mut client = HttpClient::new(serve(&[
            "HTTP/1.1 201 Created\r\nX-Seq: 7\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
        ]));
        let first = client.ask(&Request::get("/"));
        assert_eq!((first.status, first.header("x-seq")), (201, Some("7")));
        assert_eq!(first.json(), Value::Object(serde_json::Map::new()));
        assert_eq!(client.ask(&Request::get("/")).status, 404);
        assert!(client.stream.is_none(), "the server said that it closes");
    }

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        for part in ["HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}", "HTTP/1.1 200 OK\r\n", ""] {
            let part: &'static [&'static str] = Box::leak(Box::new([part]));
            let mut client = HttpClient::new(serve(part));
            assert!(matches!(client.send(&Request::get("/")), Outcome::Unknown(_)), "{part:?}");
        }
    }

    #[test]
    fn without_a_listener_nothing_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut client = HttpClient::new(address);
        assert!(matches!(client.send(&Request::get("/")), Outcome::NotSent(_)));
    }
}
