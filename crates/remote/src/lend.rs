//! Lending: who connects is led to a server process of its own.
//!
//! llama.cpp's server takes one client at a time and ends on requests that it did not expect. Here
//! every connection gets one that is idle, or a new one; what ends is only the one.

use super::tunnel::guard;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Most connections at a time.
const MOST: usize = 32;
/// How long a server may take to listen: a GPU's driver may start first.
const STARTS: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(10);
/// Who stays for less is not told of.
const STAYS: Duration = Duration::from_secs(1);

/// Starts a server that listens at this address.
pub type Start = dyn Fn(SocketAddr) -> io::Result<Child> + Send + Sync;
/// Is told what happens: a line.
pub type Tell = dyn Fn(&str) + Send + Sync;

/// Lends to whoever connects, until the listener fails.
///
/// # Errors
/// From the listener.
pub fn lend(listener: &TcpListener, start: Arc<Start>, tell: Arc<Tell>) -> io::Result<()> {
    let pool = Arc::new(Pool {
        start,
        servers: Mutex::default(),
    });
    loop {
        let (client, from) = listener.accept()?;
        let (pool, tell) = (Arc::clone(&pool), Arc::clone(&tell));
        let since = Instant::now();
        thread::spawn(move || match pool.serve(&client) {
            // A client connects several times before it stays.
            Ok(_) if since.elapsed() < STAYS => {}
            Ok((came, went)) => tell(&format!(
                "{from}: {} s, {came} bytes came, {went} went",
                since.elapsed().as_secs()
            )),
            Err(error) => {
                let _ = client.shutdown(Shutdown::Both);
                tell(&format!("{from}: {error}"));
            }
        });
    }
}

struct Pool {
    start: Arc<Start>,
    servers: Mutex<Servers>,
}

#[derive(Default)]
struct Servers {
    idle: Vec<Server>,
    busy: usize,
}

/// A server process, ended when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pool {
    fn servers(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leads a client to a server until one of them leaves: the bytes that came, and that went.
    fn serve(&self, client: &TcpStream) -> io::Result<(u64, u64)> {
        guard(client)?;
        let idle = {
            let mut servers = self.servers();
            if servers.busy >= MOST {
                return Err(io::Error::other(format!("{MOST} others are connected")));
            }
            servers.busy += 1;
            servers.idle.pop()
        };
        let served = self.serve_by(idle, client);
        let mut servers = self.servers();
        servers.busy -= 1;
        let (server, bytes) = served?;
        servers.idle.extend(server);
        Ok(bytes)
    }

    /// The server, if it is still good, and the bytes.
    fn serve_by(
        &self,
        idle: Option<Server>,
        client: &TcpStream,
    ) -> io::Result<(Option<Server>, (u64, u64))> {
        let reached = idle.and_then(|server| {
            let stream = TcpStream::connect(server.address).ok()?;
            Some((server, stream))
        });
        let (mut server, stream) = match reached {
            Some(reached) => reached,
            None => self.begin()?,
        };
        stream.set_nodelay(true)?;
        let (mut from, mut to) = (client.try_clone()?, stream.try_clone()?);
        let sends = thread::spawn(move || {
            let came = io::copy(&mut from, &mut to);
            // The server then frees what the client had.
            let _ = to.shutdown(Shutdown::Write);
            came.unwrap_or(0)
        });
        let (mut from, mut to) = (stream, client);
        let answered = io::copy(&mut from, &mut to);
        // Whichever closed first, both are closed.
        let _ = client.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
        let came = sends.join().unwrap_or(0);
        match (answered, server.child.try_wait()?) {
            (_, Some(status)) => Err(io::Error::other(format!("its server ended: {status}"))),
            (Err(_), None) => Ok((None, (came, 0))),
            (Ok(went), None) => Ok((Some(server), (came, went))),
        }
    }

    /// A new server, and a connection to it.
    fn begin(&self) -> io::Result<(Server, TcpStream)> {
        // Free until somebody else asks the system for a port.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut server = Server {
            child: (self.start)(address)?,
            address,
        };
        let until = Instant::now() + STARTS;
        loop {
            if let Ok(stream) = TcpStream::connect(address) {
                return Ok((server, stream));
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("its server ended: {status}")));
            }
            if Instant::now() > until {
                return Err(io::Error::other("its server does not start"));
            }
            thread::sleep(LOOK);
        }
    }
}
