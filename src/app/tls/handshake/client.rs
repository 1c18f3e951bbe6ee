//! ClientHello (RFC 8446 section 4.1.2).

use super::read::{Reader, numbers};
use super::{alpn_names, each_extension, extension, is_grease, lossy};
use crate::app::tls::ja4;
use crate::exchange::{Carrier, Ech, TlsHello};

/// Values kept of each list; the rest is not read. Real hellos have under 200 of any.
const MAX_VALUES: usize = 512;
/// ALPN protocols kept.
const MAX_PROTOCOLS: usize = 32;
/// Bytes of a host name (RFC 1035 section 3.1); a longer one is cut.
const MAX_NAME_BYTES: usize = 255;

/// A ClientHello. At most about 12 KiB.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct ClientHello {
    pub(in crate::app) legacy_version: u16,
    pub(in crate::app) random: [u8; 32],
    /// At most 255 bytes; 32 in honest ones.
    pub(in crate::app) session_id: Vec<u8>,
    pub(in crate::app) cipher_suites: Vec<u16>,
    /// Types, in wire order.
    pub(in crate::app) extensions: Vec<u16>,
    /// Lower case, without final dot.
    pub(in crate::app) sni: Option<String>,
    pub(in crate::app) alpn: Vec<String>,
    /// First and last byte of the first ALPN name.
    pub(in crate::app) alpn_ends: Option<[u8; 2]>,
    /// As in the extension of this name; empty when there is none.
    pub(in crate::app) supported_versions: Vec<u16>,
    pub(in crate::app) signature_algorithms: Vec<u16>,
    pub(in crate::app) ech: Ech,
    pub(in crate::app) early_data: bool,
    /// Offers a pre-shared key of TLS 1.3, such as a ticket.
    pub(in crate::app) psk: bool,
}

/// Reads the body of a ClientHello, without its handshake header. `None` if it is none; a broken
/// extension ends the list.
pub(in crate::app) fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    let legacy_version = reader.u16().filter(|version| version >> 8 == 3)?;
    let random = reader.array()?;
    let session_id = reader.vector8()?.to_vec();
    let cipher_suites = numbers(reader.vector16()?, MAX_VALUES);
    // Compression methods.
    reader.vector8()?;
    let mut hello =
        ClientHello { legacy_version, random, session_id, cipher_suites, ..ClientHello::default() };
    each_extension(reader.lenient_vector16(), |kind, body| hello.extension(kind, body));
    Some(hello)
}

impl ClientHello {
    fn extension(&mut self, kind: u16, body: &[u8]) {
        if self.extensions.len() == MAX_VALUES {
            return;
        }
        self.extensions.push(kind);
        match kind {
            extension::SERVER_NAME => self.sni = server_name(body),
            extension::ALPN => {
                let names = || alpn_names(body).filter(|name| !name.is_empty());
                self.alpn = names().take(MAX_PROTOCOLS).map(lossy).collect();
                self.alpn_ends =
                    names().next().and_then(|name| Some([*name.first()?, *name.last()?]));
            }
            extension::SUPPORTED_VERSIONS => {
                let list = Reader(body).vector8().unwrap_or_default();
                self.supported_versions = numbers(list, MAX_VALUES);
            }
            extension::SIGNATURE_ALGORITHMS => {
                self.signature_algorithms = numbers(Reader(body).lenient_vector16(), MAX_VALUES);
            }
            extension::ENCRYPTED_CLIENT_HELLO => self.ech = Ech::Offered,
            extension::EARLY_DATA => self.early_data = true,
            extension::PRE_SHARED_KEY => self.psk = true,
            _ => {}
        }
    }

    /// Versions offered, best first, without GREASE.
    pub(in crate::app) fn versions(&self) -> Vec<u16> {
        let offered: Vec<u16> = self
            .supported_versions
            .iter()
            .copied()
            .filter(|version| !is_grease(*version))
            .collect();
        if offered.is_empty() { vec![self.legacy_version] } else { offered }
    }

    /// What the seam tells of it.
    pub(in crate::app) fn summary(&self, carrier: Carrier) -> TlsHello {
        TlsHello {
            carrier,
            random: self.random,
            sni: self.sni.clone(),
            alpn: self.alpn.clone(),
            versions: self.versions(),
            ja4: ja4::fingerprint(self, carrier),
            ech: self.ech,
        }
    }
}

/// The first host name of `server_name` (RFC 6066 section 3).
fn server_name(body: &[u8]) -> Option<String> {
    let mut list = Reader(Reader(body).lenient_vector16());
    while let Some(kind) = list.u8()
        && let Some(name) = list.vector16()
    {
        if kind == 0 {
            let name = name.get(..MAX_NAME_BYTES).unwrap_or(name);
            let name = name.strip_suffix(b".").unwrap_or(name);
            return (!name.is_empty()).then(|| lossy(&name.to_ascii_lowercase()));
        }
    }
    None
}
