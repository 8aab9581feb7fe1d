//! Owns a bad connection between an HTTP client and its server: what it does to each exchange can
//! be changed while it runs. Knows nothing of what is said. Invariant: a request that was forwarded
//! was forwarded whole and once, so what is done to its answer leaves no doubt that it was carried
//! out.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::http_client::connect;

const READ_BYTES: usize = 16 << 10;
const HEAD_END: &[u8] = b"\r\n\r\n";
/// How often the listener looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(1);

/// What becomes of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Both go through.
    Pass,
    /// Nobody listens; connections that there are go on.
    Refuse,
    /// The request is taken and nothing follows.
    Hang,
    /// The request goes through; of its answer nothing does.
    DropReply,
    /// Half of the answer goes through.
    CutReply,
    /// Both go through, the answer this much later.
    Delay(Duration),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub forwarded: u64,
    /// Answers that did not get through whole.
    pub spoilt: u64,
    /// Requests that hang right now, and the most that ever did.
    pub hanging: u64,
    pub hanging_most: u64,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    mode: Mutex<Mode>,
    forwarded: AtomicU64,
    spoilt: AtomicU64,
    hanging: AtomicU64,
    hanging_most: AtomicU64,
    over: AtomicBool,
}

/// A running proxy.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at `address` for whoever wants to speak to `server`.
    ///
    /// # Panics
    /// If the address is taken.
    #[must_use]
    pub fn start(address: SocketAddr, server: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            server,
            mode: Mutex::new(Mode::Pass),
            forwarded: AtomicU64::new(0),
            spoilt: AtomicU64::new(0),
            hanging: AtomicU64::new(0),
            hanging_most: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let first = listen(address);
        let listening = Arc::clone(&shared);
        let listener = Some(thread::spawn(move || listening.listen(address, first)));
        Self { address, shared, listener }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What becomes of requests from now on; those under way keep what they began with.
    ///
    /// # Panics
    /// If a thread of it has panicked.
    pub fn turn(&self, mode: Mode) {
        *self.shared.mode.lock().expect("no panic inside") = mode;
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let Shared { forwarded, spoilt, hanging, hanging_most, .. } = &*self.shared;
        Counts {
            forwarded: of(forwarded),
            spoilt: of(spoilt),
            hanging: of(hanging),
            hanging_most: of(hanging_most),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // Threads of connections end with their clients.
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let listener = TcpListener::bind(address).expect("a free address");
    listener.set_nonblocking(true).expect("a listener that can be asked");
    listener
}

impl Shared {
    fn mode(&self) -> Mode {
        *self.mode.lock().expect("no panic inside")
    }

    /// Takes connections until it is over.
    fn listen(self: &Arc<Self>, address: SocketAddr, first: TcpListener) {
        let mut listener = Some(first);
        while !self.over.load(Ordering::SeqCst) {
            if self.mode() == Mode::Refuse {
                listener = None;
                thread::sleep(POLL);
                continue;
            }
            match listener.get_or_insert_with(|| listen(address)).accept() {
                Ok((client, _)) => {
                    let shared = Arc::clone(self);
                    // A connection that breaks is what this is for.
                    thread::spawn(move || shared.serve(client));
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    /// One connection, until either side is gone.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_nodelay(true)?;
        let mut server = None;
        loop {
            let request = read_message(&mut client)?;
            let mode = self.mode();
            if mode == Mode::Hang {
                return self.hang(&mut client);
            }
            let server = match &mut server {
                Some(server) => server,
                none => none.insert(connect(self.server)?),
            };
            server.write_all(&request)?;
            self.forwarded.fetch_add(1, Ordering::SeqCst);
            let answer = read_message(server)?;
            match mode {
                Mode::DropReply | Mode::CutReply => {
                    let kept = if mode == Mode::CutReply { answer.len() / 2 } else { 0 };
                    self.spoilt.fetch_add(1, Ordering::SeqCst);
                    client.write_all(&answer[..kept])?;
                    return client.shutdown(Shutdown::Both);
                }
                Mode::Delay(pause) => thread::sleep(pause),
                Mode::Pass | Mode::Refuse | Mode::Hang => {}
            }
            client.write_all(&answer)?;
        }
    }

    /// Waits until the client has given up.
    fn hang(&self, client: &mut TcpStream) -> io::Result<()> {
        let now = self.hanging.fetch_add(1, Ordering::SeqCst) + 1;
        self.hanging_most.fetch_max(now, Ordering::SeqCst);
        let ended = io::copy(client, &mut io::sink());
        self.hanging.fetch_sub(1, Ordering::SeqCst);
        ended.map(drop)
    }
}

/// One request or answer as it came: the head, and as many bytes as it names.
fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(len) = message_len(&bytes)? {
            if bytes.len() == len {
                return Ok(bytes);
            }
            if bytes.len() > len {
                return Err(io::Error::other("more than one message at a time"));
            }
        }
        let mut chunk = [0; READ_BYTES];
        match stream.read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Length of the message that these bytes begin, once its head is there.
fn message_len(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(place) = bytes.windows(HEAD_END.len()).position(|window| window == HEAD_END) else {
        return Ok(None);
    };
    let head_len = place + HEAD_END.len();
    let head = std::str::from_utf8(&bytes[..head_len]).map_err(io::Error::other)?;
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    });
    let length = length.transpose().map_err(io::Error::other)?.unwrap_or(0);
    Ok(Some(head_len + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::wallet::lasting_port;
    use crate::http_client::{HttpClient, Outcome, Request};

    /// A server that answers every request on every connection.
    fn serve() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    while read_message(&mut stream).is_ok() {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                        stream.write_all(answer).unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn every_mode_does_what_it_says() {
        let proxy = Proxy::start(lasting_port(), serve());
        let post = Request::post("/", "{\"a\": 1}");
        let mut client = HttpClient::new(proxy.address());
        assert_eq!(client.ask(&post).status, 200);
        for (mode, forwarded) in [(Mode::DropReply, 2), (Mode::CutReply, 3)] {
            proxy.turn(mode);
            let outcome = client.send(&post);
            assert!(matches!(outcome, Outcome::Unknown(_)), "{mode:?}: {outcome:?}");
            assert_eq!(proxy.counts().forwarded, forwarded);
        }
        assert_eq!(proxy.counts().spoilt, 2);
        proxy.turn(Mode::Delay(POLL));
        assert_eq!(client.ask(&post).json(), serde_json::json!({}));
    }

    #[test]
    fn who_hangs_is_counted_and_who_is_refused_has_sent_nothing() {
        let proxy = Proxy::start(lasting_port(), serve());
        proxy.turn(Mode::Hang);
        let mut stream = connect(proxy.address()).unwrap();
        stream.write_all(&Request::get("/").encode()).unwrap();
        while proxy.counts().hanging != 1 {
            thread::yield_now();
        }
        drop(stream);
        while proxy.counts().hanging != 0 {
            thread::yield_now();
        }
        assert_eq!((proxy.counts().hanging_most, proxy.counts().forwarded), (1, 0));
        proxy.turn(Mode::Refuse);
        let mut client = HttpClient::new(proxy.address());
        while !matches!(client.send(&Request::get("/")), Outcome::NotSent(_)) {
            thread::yield_now();
        }
        proxy.turn(Mode::Pass);
        while !matches!(client.send(&Request::get("/")), Outcome::Answered(_)) {
            thread::yield_now();
        }
    }
}
