//! Guarded connections: llama.cpp connects to a port of this machine, and what it says there goes to
//! the host. It neither limits the time of a connection nor notices a machine that has gone, and
//! ends the process where one breaks; here the reason is known before it does.

mod silence;

use silence::is_silent;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How long a host may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(4);
/// A connection over which nothing comes is looked at after this time, then as often again, and is
/// lost after [`TRIES`] looks without an answer; [`silence`] looks at those that are in use. A machine
/// at work answers, however long it works.
const QUIET: Duration = Duration::from_secs(1);
const TRIES: u32 = 3;

/// What is called where a connection is lost.
pub type OnLoss = Arc<dyn Fn(&str) + Send + Sync>;

/// A port of this machine that leads to `host`, for as long as the process lives. `on_loss` is told
/// of a connection that cannot be made or breaks.
///
/// # Errors
/// If there is no port.
pub fn open(host: &str, on_loss: OnLoss) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let host = host.to_owned();
    thread::spawn(move || {
        for near in listener.incoming() {
            let led = near.and_then(|near| {
                near.set_nodelay(true)?;
                lead(near, connect(&host, PATIENCE)?, &on_loss)
            });
            if let Err(error) = led {
                on_loss(&error.to_string());
            }
        }
    });
    Ok(address)
}

/// A connection that is given up if the other machine has gone.
///
/// # Errors
/// If there is none within this time.
pub fn connect(host: &str, patience: Duration) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => return guard(&stream).map(|()| stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Lets the system notice that the other machine has gone.
pub(super) fn guard(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let alive = TcpKeepalive::new().with_time(QUIET).with_interval(QUIET);
    #[cfg(not(target_os = "openbsd"))]
    let alive = alive.with_retries(TRIES);
    socket.set_tcp_keepalive(&alive)
}

/// Carries what both say, each way in a thread. The far end must not close first.
fn lead(near: TcpStream, far: TcpStream, on_loss: &OnLoss) -> io::Result<()> {
    let closed = Arc::new(AtomicBool::new(false));
    let (mut from_near, mut to_far) = (near.try_clone()?, far.try_clone()?);
    let (mut from_far, mut to_near) = (far, near);
    let (closing, lost) = (Arc::clone(&closed), Arc::clone(on_loss));
    thread::spawn(move || match io::copy(&mut from_near, &mut to_far) {
        Ok(_) => {
            closing.store(true, Ordering::SeqCst);
            // It may be closed already.
            let _ = to_far.shutdown(Shutdown::Write);
        }
        Err(error) => lost(&error.to_string()),
    });
    let (over, lost, watched) = (
        Arc::clone(&closed),
        Arc::clone(on_loss),
        from_far.try_clone()?,
    );
    thread::spawn(move || {
        while !over.load(Ordering::SeqCst) {
            thread::sleep(QUIET);
            if is_silent(&watched) {
                lost("it does not answer");
            }
        }
    });
    let lost = Arc::clone(on_loss);
    thread::spawn(move || {
        let copied = io::copy(&mut from_far, &mut to_near);
        if closed.load(Ordering::SeqCst) {
            return;
        }
        match copied {
            Ok(_) => lost("it closed the connection"),
            Err(error) => lost(&error.to_string()),
        }
    });
    Ok(())
}
