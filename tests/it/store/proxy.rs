//! A network that fails: a proxy on loopback that cuts connections and dawdles.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Debug)]
struct Faults {
    /// Every second connection or so is cut.
    cuts: AtomicBool,
    /// Milliseconds before each piece goes on.
    delay: AtomicU64,
    cut: AtomicU64,
    random: Mutex<Random>,
}

/// Between a client and a server that it knows the port of.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    faults: Arc<Faults>,
}

impl Proxy {
    pub fn start(server_port: u16, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(Faults {
            cuts: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            random: Mutex::new(Random(seed)),
        });
        let shared = Arc::clone(&faults);
        // It ends with the tests.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is down closes the connection at once, as a kernel does.
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else { continue };
                shared.join(&client, &server);
            }
        });
        Self { port, faults }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Cuts connections at random bytes from now on, or no more.
    pub fn cut(&self, on: bool) {
        self.faults.cuts.store(on, Relaxed);
    }

    /// Lets every piece wait.
    pub fn delay(&self, delay: Duration) {
        self.faults.delay.store(delay.as_millis() as u64, Relaxed);
    }

    /// Connections cut so far.
    pub fn cuts(&self) -> u64 {
        self.faults.cut.load(Relaxed)
    }
}

impl Faults {
    fn join(self: &Arc<Self>, client: &TcpStream, server: &TcpStream) {
        // Bytes until the cut, in each direction: within a request, or within its answer. No byte
        // of an answer is the case in which nobody knows what the server did.
        let mut random = self.random.lock().unwrap();
        let (request, answer) = match random.below(if self.cuts.load(Relaxed) { 6 } else { 1 }) {
            1 => (random.below(4_000_000), u64::MAX),
            2 => (random.below(3_000), u64::MAX),
            3 => (u64::MAX, 0),
            4 => (u64::MAX, random.below(2_000)),
            _ => (u64::MAX, u64::MAX),
        };
        drop(random);
        for (from, to, bytes) in [(client, server, request), (server, client, answer)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let faults = Arc::clone(self);
            thread::spawn(move || faults.copy(from, to, bytes));
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, mut left: u64) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read) = from.read(&mut buffer) {
            if read == 0 {
                break;
            }
            let delay = self.delay.load(Relaxed);
            if delay > 0 {
                thread::sleep(Duration::from_millis(delay));
            }
            let passed = read.min(usize::try_from(left).unwrap_or(usize::MAX));
            left -= passed as u64;
            if to.write_all(&buffer[..passed]).is_err() {
                break;
            }
            if passed < read || left == 0 {
                self.cut.fetch_add(1, Relaxed);
                let _gone = from.shutdown(Shutdown::Both);
                break;
            }
        }
        let _gone = to.shutdown(Shutdown::Both);
    }
}
