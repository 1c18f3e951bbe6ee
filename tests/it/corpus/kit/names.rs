//! What gives names away: DNS messages.

use std::net::Ipv4Addr;

fn question(id: u16, flags: u16, answers: u16, name: &str) -> Vec<u8> {
    let mut out = id.to_be_bytes().to_vec();
    out.extend(flags.to_be_bytes());
    out.extend([0, 1]);
    out.extend(answers.to_be_bytes());
    out.extend([0; 4]);
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.extend([0, 0, 1, 0, 1]);
    out
}

/// Asks for the address of a name.
pub fn ask(id: u16, name: &str) -> Vec<u8> {
    question(id, 0x0100, 0, name)
}

/// And gives it.
pub fn answer(id: u16, name: &str, address: Ipv4Addr) -> Vec<u8> {
    let mut out = question(id, 0x8180, 1, name);
    out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 0x2c, 0, 4]);
    out.extend(address.octets());
    out
}
