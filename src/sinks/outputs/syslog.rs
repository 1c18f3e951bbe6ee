//! Syslog: messages over TCP with their lengths before them (RFC 6587 section 3.4.1), the same in
//! TLS (RFC 5425), or a datagram each (RFC 5426).
//!
//! The protocol has no answers. What the system took over is delivered as far as can be known; a
//! receiver that goes away at the same moment loses what was on the way, and nobody is told. With
//! UDP a receiver need not be there at all. Before a batch it is looked whether the receiver closed
//! the connection since the last.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::config::{SyslogTarget, Transport};
use super::http::network;
use super::webhook::records;
use crate::sinks::connector::client_config;
use crate::sinks::encode::cut;
use crate::sinks::outbox::{Deliver, Segment, Trouble};

/// Longest datagram, in bytes; longer messages are cut there. RFC 5426 asks receivers for 2048;
/// what is longer than a packet of the network travels in fragments.
const MAX_DATAGRAM_BYTES: usize = 8 << 10;
/// How long a look for a closed connection may take.
const GLANCE: Duration = Duration::from_millis(1);

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

enum Connection {
    Stream(Box<dyn Stream>),
    Datagrams(UdpSocket),
}

/// Delivers to a syslog receiver.
pub struct Syslog {
    target: SyslogTarget,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connection: Option<Connection>,
}

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syslog").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Syslog {
    /// Reads the certificates; connects when there is something to send.
    ///
    /// # Errors
    /// Which certificate or name cannot be used, and why.
    pub fn new(target: &SyslogTarget) -> Result<Self, String> {
        let tls = match target.transport {
            Transport::Tls => {
                let config = client_config(target.ca_file.as_deref())?;
                let name = ServerName::try_from(target.host.clone())
                    .map_err(|error| format!("{}: {error}", target.host))?;
                Some((TlsConnector::from(Arc::new(config)), name))
            }
            Transport::Tcp | Transport::Udp => None,
        };
        Ok(Self { target: target.clone(), tls, connection: None })
    }

    async fn connect(&self) -> std::io::Result<Connection> {
        let address = (self.target.host.as_str(), self.target.port);
        if self.target.transport == Transport::Udp {
            let mut last = None;
            for address in tokio::net::lookup_host(address).await? {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).await?;
                match socket.connect(address).await {
                    Ok(()) => return Ok(Connection::Datagrams(socket)),
                    Err(error) => last = Some(error),
                }
            }
            return Err(last.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()));
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection::Stream(match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        }))
    }

    async fn send(&mut self, body: &[u8]) -> std::io::Result<()> {
        if let Some(Connection::Stream(stream)) = &mut self.connection
            && is_closed(stream).await
        {
            self.connection = None;
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // It is kept only when all went well: half a message is no place to go on from.
        self.connection = Some(match connection {
            Connection::Stream(mut stream) => {
                stream.write_all(&frames(body)).await?;
                stream.flush().await?;
                Connection::Stream(stream)
            }
            Connection::Datagrams(socket) => {
                for record in records(body) {
                    socket.send(datagram(record)).await?;
                }
                Connection::Datagrams(socket)
            }
        });
        Ok(())
    }
}

impl Deliver for Syslog {
    async fn deliver(&mut self, segment: &Segment) -> Result<(), Trouble> {
        let limit = self.target.timeout;
        match timeout(limit, self.send(&segment.body)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.connection = None;
                Err(network(&error))
            }
            Err(_) => {
                self.connection = None;
                Err(Trouble::Retry(format!("not sent within {} seconds", limit.as_secs())))
            }
        }
    }
}

/// Whether the other side has closed. It never sends anything, so a read either waits or tells.
async fn is_closed(stream: &mut Box<dyn Stream>) -> bool {
    let mut bytes = [0; 64];
    loop {
        match timeout(GLANCE, stream.read(&mut bytes)).await {
            Err(_) => return false,
            Ok(Ok(0) | Err(_)) => return true,
            // A receiver that talks: not our business.
            Ok(Ok(_)) => {}
        }
    }
}

/// Each message after its length in bytes and a blank.
fn frames(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 64 + 16);
    for record in records(body) {
        out.extend_from_slice(record.len().to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(record);
    }
    out
}

/// The message, cut where a datagram ends; a cut lies between characters.
fn datagram(record: &[u8]) -> &[u8] {
    if record.len() <= MAX_DATAGRAM_BYTES {
        return record;
    }
    match std::str::from_utf8(record) {
        Ok(text) => cut(text, MAX_DATAGRAM_BYTES).as_bytes(),
        Err(_) => record.get(..MAX_DATAGRAM_BYTES).unwrap_or(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A receiver: lengths, blanks, messages.
    fn unframe(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let blank = bytes.iter().position(|byte| *byte == b' ').unwrap();
            let length: usize = std::str::from_utf8(&bytes[..blank]).unwrap().parse().unwrap();
            all.push(bytes[blank + 1..=blank + length].to_vec());
            bytes = &bytes[blank + 1 + length..];
        }
        all
    }

    proptest! {
        #[test]
        fn a_receiver_gets_the_messages_back(
            messages in prop::collection::vec("[^\\n]{1,50}", 0..20)
        ) {
            let body: String = messages.iter().map(|message| format!("{message}\n")).collect();
            let got = unframe(&frames(body.as_bytes()));
            let want: Vec<_> = messages.into_iter().map(String::into_bytes).collect();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn datagrams_end_between_characters() {
        let long = "ä".repeat(MAX_DATAGRAM_BYTES);
        let odd = format!("x{long}");
        assert_eq!(datagram(long.as_bytes()).len(), MAX_DATAGRAM_BYTES);
        assert_eq!(datagram(odd.as_bytes()).len(), MAX_DATAGRAM_BYTES - 1);
        assert_eq!(datagram(b"short"), b"short");
    }
}
