//! Secrets into keys: HKDF of TLS 1.3 (RFC 8446 section 7.1) and PRF of TLS 1.2 (RFC 5246
//! section 5).

use ring::{hkdf, hmac};

use super::secret::{MAX_SECRET_BYTES, Secret, wipe};
use super::suite::Hash;

/// Longest output of an expansion here, in bytes: two MAC keys, two keys and two IVs.
pub(super) const MAX_KEY_BLOCK_BYTES: usize = 2 * (48 + 32 + 16);

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label (RFC 8446 section 7.1) with an empty context. `None` where the secret is of
/// another hash.
pub(super) fn expand_label(hash: Hash, secret: &Secret, label: &str, out: &mut [u8]) -> Option<()> {
    if secret.bytes().len() != hash.bytes() {
        return None;
    }
    let length = u16::try_from(out.len()).ok()?.to_be_bytes();
    let prefix = b"tls13 ";
    let label_length = u8::try_from(prefix.len() + label.len()).ok()?;
    let info = [&length[..], &[label_length], prefix, label.as_bytes(), &[0]];
    let prk = hkdf::Prk::new_less_safe(hash.hkdf(), secret.bytes());
    prk.expand(&info, Bytes(out.len())).ok()?.fill(out).ok()
}

/// The secret that follows a key update (RFC 8446 section 7.2).
pub(super) fn next_secret(hash: Hash, secret: &Secret) -> Option<Secret> {
    let mut bytes = [0; MAX_SECRET_BYTES];
    let out = bytes.get_mut(..hash.bytes())?;
    expand_label(hash, secret, "traffic upd", out)?;
    let next = Secret::new(out);
    wipe(&mut bytes);
    next
}

/// The PRF of TLS 1.2 with a seed in two halves.
pub(super) fn prf(hash: Hash, secret: &Secret, label: &str, seed: [&[u8]; 2], out: &mut [u8]) {
    let key = hmac::Key::new(hash.hmac(), secret.bytes());
    let [first, second] = seed;
    let seeded = |head: &[u8]| {
        let mut context = hmac::Context::with_key(&key);
        for part in [head, label.as_bytes(), first, second] {
            context.update(part);
        }
        context.sign()
    };
    let mut a = seeded(&[]);
    for place in out.chunks_mut(hash.bytes()) {
        let block = seeded(a.as_ref());
        place.copy_from_slice(block.as_ref().get(..place.len()).unwrap_or_default());
        a = hmac::sign(&key, a.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::unhex;
    use super::*;

    /// RFC 8448 section 3: secrets of a simple handshake, and the keys and IVs made of them.
    #[test]
    fn traffic_keys_of_the_simple_handshake() {
        for (secret, key, iv) in [
            (
                "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38",
                "3fce516009c21727d0f2e4e86ee403bc",
                "5d313eb2671276ee13000b30",
            ),
            (
                "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21",
                "dbfaa693d1762c5b666af5d950258d01",
                "5bd3c71b836e0b76bb73265f",
            ),
            (
                "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643",
                "9f02283b6c9c07efc26bb9f2ac92e356",
                "cf782b88dd83549aadf1e984",
            ),
            (
                "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
                "17422dda596ed5d9acd890e3c63f5051",
                "5b78923dee08579033e523d9",
            ),
        ] {
            let secret = Secret::new(&unhex(secret)).unwrap();
            let (mut found_key, mut found_iv) = ([0; 16], [0; 12]);
            expand_label(Hash::Sha256, &secret, "key", &mut found_key).unwrap();
            expand_label(Hash::Sha256, &secret, "iv", &mut found_iv).unwrap();
            assert_eq!((found_key.to_vec(), found_iv.to_vec()), (unhex(key), unhex(iv)));
            assert!(expand_label(Hash::Sha384, &secret, "key", &mut found_key).is_none());
            assert_ne!(next_secret(Hash::Sha256, &secret).unwrap(), secret);
        }
    }

    /// Published test vectors of the TLS 1.2 PRF with SHA-256 and SHA-384 (IETF TLS list, 2009).
    #[test]
    fn prf_of_tls12() {
        let sha256 = (
            Hash::Sha256,
            "9bbe436ba940f017b17652849a71db35",
            "a0ba9f936cda311827a6f796ffd5198c",
            "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a\
             6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab\
             4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff701\
             87347b66",
        );
        let sha384 = (
            Hash::Sha384,
            "b80b733d6ceefcdc71566ea48e5567df",
            "cd665cf6a8447dd6ff8b27555edb7465",
            "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cd\
             e9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd\
             8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425\
             9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6\
             91c8f3a26854308d5eaa3be85e0990703d73e56f",
        );
        for (hash, secret, seed, expected) in [sha256, sha384] {
            let secret = Secret::new(&unhex(secret)).unwrap();
            let (seed, expected) = (unhex(seed), unhex(expected));
            let mut out = vec![0; expected.len()];
            let (first, second) = seed.split_at(5);
            prf(hash, &secret, "test label", [first, second], &mut out);
            assert_eq!(out, expected);
        }
    }

    /// RFC 5869 test case 1 by way of the same HKDF: its PRK as the secret of a label would need
    /// another info, so the raw expansion is checked.
    #[test]
    fn hkdf_expand() {
        let prk = unhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
        let info = unhex("f0f1f2f3f4f5f6f7f8f9");
        let prk = hkdf::Prk::new_less_safe(Hash::Sha256.hkdf(), &prk);
        let mut out = [0; 42];
        prk.expand(&[&info], Bytes(42)).unwrap().fill(&mut out).unwrap();
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                        34007208d5b887185865";
        assert_eq!(out.to_vec(), unhex(expected));
    }
}
