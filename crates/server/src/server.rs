//! The server: a listener, connections with limits, and an end that drains.

use crate::config::{Limits, Options};
use crate::desk::{Desk, Source};
use crate::facts::unix_time;
use crate::http::{self, Served};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

/// Why a pack is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("{address}: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Threads, timers or sockets are not to be had.
    #[error("the server could not be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// The pack could not be loaded.
    #[error(transparent)]
    Load(Box<dyn Error + Send + Sync>),
    /// The desk's thread panicked.
    #[error("the thread that starts answers panicked (this is a bug)")]
    Desk,
}

/// How far the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Serving,
    /// What was taken is answered.
    Draining,
    /// Answers under way stop.
    Stopping,
}

/// Ends a server, from another thread.
#[derive(Clone)]
pub struct Handle {
    life: Arc<watch::Sender<Life>>,
    desk: Arc<Desk>,
}

impl Handle {
    /// Takes no more requests; those that were taken are answered.
    pub fn drain(&self) {
        self.desk.close();
        self.reach(Life::Draining);
    }

    /// Takes no more requests, and stops the answers under way.
    pub fn stop(&self) {
        self.desk.stop();
        self.reach(Life::Stopping);
    }

    fn reach(&self, life: Life) {
        self.life.send_if_modified(|now| {
            let later = life > *now;
            *now = life.max(*now);
            later
        });
    }
}

/// A server that listens, but takes nothing yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    options: Arc<Options>,
    handle: Handle,
}

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// The address is taken, or not this machine's.
    pub fn bind(options: Options) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Address {
            address: options.address,
            source,
        };
        let listener = TcpListener::bind(options.address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let options = Arc::new(options);
        let handle = Handle {
            life: Arc::new(watch::Sender::new(Life::Serving)),
            desk: Desk::new(Arc::clone(&options)),
        };
        Ok(Self {
            listener,
            address,
            options,
            handle,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Loads the pack and serves it until it is told to end. `ready` is called once the pack is
    /// there; before, requests are answered with 503.
    ///
    /// # Errors
    /// The pack cannot be loaded, or there are no threads or sockets.
    pub fn run(self, source: &dyn Source, ready: &(dyn Fn() + Sync)) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let served = Served {
            desk: Arc::clone(&self.handle.desk),
            options: Arc::clone(&self.options),
            since: unix_time(),
        };
        let listener = self.listener;
        std::thread::scope(|scope| {
            let (desk, handle) = (Arc::clone(&served.desk), self.handle.clone());
            let timers = runtime.handle().clone();
            let thread = std::thread::Builder::new().name("desk".into());
            let desk = thread.spawn_scoped(scope, move || {
                let done = desk.run(source, &timers, ready);
                if done.is_err() {
                    handle.stop();
                }
                done
            })?;
            let accepted = runtime.block_on(accept(listener, &served, &self.handle));
            self.handle.drain();
            // Its threads may wait for timers.
            runtime.block_on(async {
                while !desk.is_finished() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
            let done = desk.join().map_err(|_| ServeError::Desk)?;
            done.map_err(ServeError::Load)?;
            accepted.map_err(ServeError::Runtime)
        })
    }
}

/// Takes connections until the server drains, and then waits for those that are answered.
async fn accept(listener: TcpListener, served: &Served, handle: &Handle) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let limits = &served.options.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let app = http::router(served);
    let mut life = handle.life.subscribe();
    loop {
        let taken = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            _ = life.wait_for(|life| *life > Life::Serving) => break,
            (place, stream) = taken => match stream {
                Ok((stream, _)) => {
                    let served = open.watch(connection(limits, stream, app.clone()));
                    tokio::spawn(async move {
                        // A client that breaks off is no error of ours.
                        let _ = served.await;
                        drop(place);
                    });
                }
                // No file descriptors are left, perhaps: they come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    drop(listener);
    tokio::select! {
        () = open.shutdown() => {}
        _ = life.wait_for(|life| *life == Life::Stopping) => {
            // Answers that are stopped are told so.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(())
}

/// Serves a connection. Once its client has closed it, whatever it waits for is dropped.
fn connection(
    limits: &Limits,
    stream: TcpStream,
    app: Router,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Small frames are sent at once.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.read_time)
        .half_close(false)
        .max_headers(64)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app))
}
