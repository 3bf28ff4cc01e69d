//! Certificates of an app with RSA keys, as an administrator creates them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};

use crate::identity::{Validity, params};
use crate::tenant::signer::Signer;

/// A certificate with its key.
#[derive(Clone, Debug)]
pub struct ClientCertificate {
    pub der: Vec<u8>,
    /// As PEM.
    pub certificate: String,
    /// As PEM, in the form PKCS #8.
    pub key: String,
}

/// The object identifier of RSA keys with its empty parameters, in DER.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

impl ClientCertificate {
    /// Creates a certificate for one of the fixed keys, such as `K1`.
    ///
    /// # Panics
    /// If there is no such key.
    pub fn new(key: &str, validity: Validity) -> Self {
        let pem = private_key(&Signer::default(), key);
        let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).expect("the key is an RSA key");
        let mut params: CertificateParams = params(validity);
        params.distinguished_name.push(DnType::CommonName, "teleport-msteams");
        let certificate = params.self_signed(&pair).expect("the key can sign");
        Self {
            der: certificate.der().to_vec(),
            certificate: certificate.pem(),
            key: pem,
        }
    }

    /// Returns the content of a file with the key and the certificate.
    pub fn pem(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

/// Encodes a key in the form PKCS #8 (RFC 5208), which contains the form PKCS #1 (RFC 8017, appendix A.1.2).
fn private_key(signer: &Signer, key: &str) -> String {
    let numbers = ["n", "e", "d", "p", "q", "dp", "dq", "qi"].map(|part| integer(&signer.number(key, part)));
    let inner = tagged(0x30, &[integer(&[0]), numbers.concat()].concat());
    let outer = [integer(&[0]), RSA.to_vec(), tagged(0x04, &inner)].concat();
    let text = STANDARD.encode(tagged(0x30, &outer));
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem + "-----END PRIVATE KEY-----\n"
}

/// Encodes a number that is not negative.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let sign: &[u8] = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        &[0]
    } else {
        &[]
    };
    tagged(0x02, &[sign, bytes].concat())
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let bytes = length.to_be_bytes();
    let head = match length {
        0..0x80 => vec![tag, bytes[7]],
        0x80..0x100 => vec![tag, 0x81, bytes[7]],
        _ => vec![tag, 0x82, bytes[6], bytes[7]],
    };
    [head, content.to_vec()].concat()
}
