"""Writes certificates for a test into FOLDER: authority.pem and server.pem for localhost, each with
its key (authority.key, server.key), and both.pem, the authority's certificate and key in one file.
Usage: certificates.py FOLDER
"""

import datetime
import ipaddress
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

folder = pathlib.Path(sys.argv[1])
now = datetime.datetime.now(datetime.timezone.utc)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_of(file):
    # RSA: squid of Debian 12 makes no certificates with an authority of another kind.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / file).write_bytes(encoded)
    return key, encoded


def certificate(subject, issuer, key, signer, is_authority):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if is_authority:
        usage = dict.fromkeys(
            [
                "content_commitment",
                "data_encipherment",
                "decipher_only",
                "encipher_only",
                "key_agreement",
                "key_encipherment",
            ],
            False,
        )
        usage = x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage)
        builder = builder.add_extension(usage, critical=True)
    else:
        loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), loopback])
        builder = builder.add_extension(names, critical=False)
    signed = builder.sign(signer, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


authority_key, encoded = key_of("authority.key")
authority = certificate("Test authority", "Test authority", authority_key, authority_key, True)
(folder / "authority.pem").write_bytes(authority)
(folder / "both.pem").write_bytes(authority + encoded)
server_key, _ = key_of("server.key")
server = certificate("localhost", "Test authority", server_key, authority_key, False)
(folder / "server.pem").write_bytes(server)
