//! Identity files of every kind, with keys and certificates that `openssl` and `ssh-keygen` made: an opinion from outside.

#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use teleport_msteams::teleport::Client;

use crate::support::Town;
use crate::world::identity::{Credentials, server_config};

const CLUSTER: &str = "sandbox.example.com";

/// Teleport's attribute for the cluster, and several members of one kind.
const REQUEST: &str = "
    oid_section = oids
    [oids]
    cluster = 1.3.9999.1.7
    [req]
    distinguished_name = names
    prompt = no
    [names]
    0.O = access-plugin
    1.O = editor
    CN = bot
    cluster = sandbox.example.com
";

const SERVER: &str = "
    basicConstraints = CA:FALSE
    keyUsage = digitalSignature, keyEncipherment
    extendedKeyUsage = serverAuth, clientAuth
    subjectAltName = DNS:*.teleport.cluster.local, DNS:teleport.cluster.local, IP:127.0.0.1
";

/// Runs a program in a directory; `false` if there is no such program.
fn run(folder: &Path, program: &str, arguments: &str) -> bool {
    let mut command = Command::new(program);
    command
        .args(arguments.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null());
    let Ok(output) = command.output() else {
        return false;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments}: {said}");
    true
}

fn openssl(folder: &Path, arguments: &str) {
    assert!(run(folder, "openssl", arguments));
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Creates an authority with a key of this kind.
fn authority(folder: &Path, name: &str, kind: &str) {
    openssl(
        folder,
        &format!(
            "req -x509 -newkey {kind} -nodes -days 1 -subj /O={CLUSTER}/CN={CLUSTER} -keyout {name}.key -out {name}.pem"
        ),
    );
}

/// Signs a certificate for a key that is already there.
fn sign(folder: &Path, name: &str, by: &str) {
    openssl(
        folder,
        &format!("req -new -config request.cnf -key {name}.key -out {name}.csr"),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {by}.pem -CAkey {by}.key -CAcreateserial -days 1 -extfile server.cnf -out {name}.crt"
        ),
    );
}

#[tokio::test]
async fn id_1_to_6_keys_and_certificates_of_every_kind_that_openssl_makes() {
    let town = Town::build().await;
    let folder = town.folder.path();
    if !run(folder, "openssl", "version") {
        println!("skipped: there is no openssl here");
        return;
    }
    fs::write(folder.join("request.cnf"), REQUEST).unwrap();
    fs::write(folder.join("server.cnf"), SERVER).unwrap();
    openssl(folder, "genrsa -traditional -out pkcs1.key 2048");
    openssl(
        folder,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key",
    );
    openssl(folder, "ecparam -name prime256v1 -genkey -noout -out sec1.key");
    openssl(
        folder,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key",
    );
    openssl(
        folder,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key",
    );
    openssl(folder, "genpkey -algorithm ED25519 -out ed25519.key");
    assert!(read(folder, "pkcs1.key").starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    assert!(read(folder, "sec1.key").starts_with("-----BEGIN EC PRIVATE KEY-----"));
    // Old versions of Teleport wrote labels that do not fit what is inside.
    let mislabelled = read(folder, "rsa.key").replace(" PRIVATE", " RSA PRIVATE");
    fs::write(folder.join("mislabelled.key"), mislabelled).unwrap();
    openssl(
        folder,
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out auth-rsa.key",
    );
    openssl(
        folder,
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out auth-ec.key",
    );

    for (authorities, server) in [
        ("rsa:2048", "auth-rsa"),
        ("rsa:2048", "auth-ec"),
        ("ed25519", "auth-ec"),
    ] {
        authority(folder, "hosts", authorities);
        authority(folder, "users", authorities);
        sign(folder, server, "hosts");
        let shown = Credentials {
            key: read(folder, &format!("{server}.key")),
            certificate: read(folder, &format!("{server}.crt")),
        };
        town.cluster.show(server_config(&shown, &read(folder, "users.pem")));
        for name in ["pkcs1", "rsa", "sec1", "ec", "p384", "ed25519", "mislabelled"] {
            let signed_as = if name == "mislabelled" { "rsa" } else { name };
            sign(folder, signed_as, "users");
            let (key, certificate) = (
                read(folder, &format!("{name}.key")),
                read(folder, &format!("{signed_as}.crt")),
            );
            let trusted = read(folder, "hosts.pem");
            fs::write(folder.join("identity"), format!("{key}{certificate}{trusted}")).unwrap();
            connects(&town, name).await;
        }
    }
}

#[tokio::test]
async fn id_2_and_4_ssh_material_is_allowed_anywhere_and_optional() {
    let town = Town::build().await;
    let folder = town.folder.path();
    let whole = read(folder, "identity");
    let long = format!("ssh-rsa-cert-v01@openssh.com {}\n", "A".repeat(200 << 10));
    let junk = "# a comment\n\nno: block\n";
    for text in [
        whole.replace('\n', "\r\n"),
        whole
            .lines()
            .filter(|line| !line.starts_with('@'))
            .fold(String::new(), |text, line| text + line + "\n"),
        whole.replacen("-----BEGIN CERT", &format!("{long}{long}{junk}-----BEGIN CERT"), 1),
        format!("{junk}{whole}{junk}{long}"),
        whole.trim_end().to_owned(),
    ] {
        fs::write(folder.join("identity"), text).unwrap();
        connects(&town, "junk").await;
    }
    if !run(folder, "ssh-keygen", "-q -t ed25519 -N x -f authority") {
        println!("skipped: there is no ssh-keygen here");
        return;
    }
    assert!(run(folder, "ssh-keygen", "-q -t ed25519 -N x -f user"));
    assert!(run(
        folder,
        "ssh-keygen",
        "-q -P x -s authority -I bot -n bot,-teleport-internal-join user.pub"
    ));
    let certificate = read(folder, "user-cert.pub");
    let with_ssh = whole.replacen("-----BEGIN CERT", &format!("{certificate}-----BEGIN CERT"), 1);
    fs::write(folder.join("identity"), with_ssh).unwrap();
    connects(&town, "a line for SSH").await;
    fs::write(folder.join("identity"), whole).unwrap();
    fs::write(folder.join("identity-cert.pub"), certificate).unwrap();
    connects(&town, "a file for SSH").await;
}

/// Reads the identity file and asks the cluster who it is.
async fn connects(town: &Town, what: &str) {
    let settings = town.settings(&town.config());
    let client = Client::new(&settings.teleport, &settings.limits).await;
    let client = client.unwrap_or_else(|error| panic!("{what}: {error}"));
    let identity = client.keyring().newest();
    assert_eq!(identity.cluster, CLUSTER, "{what}");
    let cluster = client.ping().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(cluster.name, CLUSTER, "{what}");
}
