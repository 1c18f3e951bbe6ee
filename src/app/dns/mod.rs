//! DNS messages (RFC 1035 section 4), as in datagrams of DNS and multicast DNS (RFC 6762), and out
//! of TCP streams. Sans-IO.
//!
//! Read: questions, and the addresses that the answers give the names asked for: A and AAAA
//! records, hints of SVCB and HTTPS records (RFC 9460), CNAME chains followed. What is broken ends
//! the reading of a message, and what was read before it stays.

mod answer;
mod message;
mod name;
mod stream;
#[cfg(test)]
mod tests;

pub(in crate::app) use message::parse;
pub(in crate::app) use stream::Stream;

#[cfg(any(fuzzing, test))]
pub(in crate::app) fn fuzz(data: &[u8]) {
    let Some((step, data)) = data.split_first() else { return };
    if let Some(message) = parse(data) {
        assert!(message.questions.len() <= message::MAX_QUESTIONS);
        assert!(message.addresses.len() <= answer::MAX_ADDRESSES);
        let names = message.addresses.iter().map(|address| &address.name);
        for text in names.chain(message.questions.iter().map(|(text, _)| text)) {
            // Each byte may become a backslash and itself, or three bytes of a replacement.
            assert!(text.len() <= name::MAX_NAME_BYTES * 3);
        }
    }
    let (mut whole, mut cut) = (Vec::new(), Vec::new());
    Stream::default().push(data, |message| whole.push(message));
    let mut stream = Stream::default();
    for piece in data.chunks(usize::from(*step).max(1)) {
        stream.push(piece, |message| cut.push(message));
    }
    assert_eq!(whole, cut);
}
