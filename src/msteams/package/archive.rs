//! The archive with the manifest and the icons.

use std::io::{Cursor, Write as _};

use uuid::Uuid;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::msteams::package::manifest::{APP_VERSION, INTERACTIVE_VERSION, Interaction, manifest};

/// The icon that Teams shows in lists, 192 by 192 pixels.
const COLOR: &[u8] = include_bytes!("color.png");

/// The icon that Teams shows in its own bars, white on transparent, 32 by 32 pixels.
const OUTLINE: &[u8] = include_bytes!("outline.png");

/// The app package, ready to be uploaded.
#[derive(Clone, Debug)]
pub struct Package {
    manifest: String,
}

impl Package {
    /// The version in the catalog after the package is uploaded.
    pub const VERSION: &str = APP_VERSION;

    /// The same of an interactive package.
    pub const INTERACTIVE_VERSION: &str = INTERACTIVE_VERSION;

    /// The version of the Go plugin's package, whose bot has the scope of teams only.
    pub const GO_PLUGIN_VERSION: &str = "1.0.0";

    /// Creates the package of a bot (`app_id`) as an app of the catalog (`teams_app_id`).
    pub fn new(app_id: Uuid, teams_app_id: Uuid, interaction: Interaction) -> Self {
        Self {
            manifest: format!("{:#}\n", manifest(app_id, teams_app_id, interaction)),
        }
    }

    /// Returns the files by name.
    pub fn files(&self) -> [(&'static str, &[u8]); 3] {
        [
            ("manifest.json", self.manifest.as_bytes()),
            ("color.png", COLOR),
            ("outline.png", OUTLINE),
        ]
    }

    /// Creates the archive. The same values always give the same bytes.
    ///
    /// # Panics
    /// Never: three small files fit into memory and into an archive.
    pub fn archive(&self) -> Vec<u8> {
        // Images do not compress well, and this way nothing depends on the version of a compressor.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in self.files() {
            archive
                .start_file(name, options)
                .expect("the names are short and differ");
            archive.write_all(bytes).expect("memory takes what is written");
        }
        archive.finish().expect("memory takes what is written").into_inner()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const APP: Uuid = Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111);
    const TEAMS_APP: Uuid = Uuid::from_u128(0x3333_3333_3333_4333_8333_3333_3333_3333);

    #[test]
    fn the_same_ids_give_the_same_bytes() {
        for interaction in [Interaction::None, Interaction::Buttons] {
            let archive = |app, teams_app| Package::new(app, teams_app, interaction).archive();
            assert_eq!(archive(APP, TEAMS_APP), archive(APP, TEAMS_APP));
            assert_ne!(archive(APP, TEAMS_APP), archive(TEAMS_APP, APP));
        }
    }

    #[test]
    fn the_manifest_respects_microsofts_limits() {
        for (name, interaction) in [
            ("manifest", Interaction::None),
            ("manifest_interactive", Interaction::Buttons),
        ] {
            let manifest = manifest(APP, TEAMS_APP, interaction);
            insta::assert_snapshot!(name, Package::new(APP, TEAMS_APP, interaction).manifest);
            let length = |pointer: &str| {
                manifest
                    .pointer(pointer)
                    .and_then(serde_json::Value::as_str)
                    .unwrap()
                    .len()
            };
            for (pointer, longest) in [
                ("/developer/name", 32),
                ("/developer/privacyUrl", 2_048),
                ("/name/short", 30),
                ("/name/full", 100),
                ("/description/short", 80),
                ("/description/full", 4_000),
            ] {
                assert!((1..=longest).contains(&length(pointer)), "{pointer}");
            }
            assert!(manifest["$schema"].as_str().unwrap().contains("/v1.25/"));
        }
    }

    #[test]
    fn the_catalog_takes_the_interactive_app_as_an_update() {
        let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
        assert!(version(Package::INTERACTIVE_VERSION) > version(Package::VERSION));
        assert!(version(Package::VERSION) > version(Package::GO_PLUGIN_VERSION));
    }

    #[test]
    fn the_developers_addresses_belong_to_no_organization() {
        let manifest = manifest(APP, TEAMS_APP, Interaction::None);
        for key in ["websiteUrl", "privacyUrl", "termsOfUseUrl"] {
            let address: url::Url = manifest["developer"][key].as_str().unwrap().parse().unwrap();
            let host = address.host_str().unwrap();
            assert!(host.ends_with(".invalid"), "{key}: {address}");
        }
    }

    #[test]
    fn the_archive_has_the_manifest_and_valid_icons_at_its_root() {
        let package = Package::new(APP, TEAMS_APP, Interaction::None);
        let mut archive = zip::ZipArchive::new(Cursor::new(package.archive())).unwrap();
        let mut names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        names.sort();
        assert_eq!(names, ["color.png", "manifest.json", "outline.png"]);
        // Width, height, depth and colour type of a PNG: 2 is opaque, 6 has transparency.
        for (name, size, kind) in [("color.png", 192_u32, 2), ("outline.png", 32, 6)] {
            let mut picture = Vec::new();
            archive.by_name(name).unwrap().read_to_end(&mut picture).unwrap();
            assert_eq!(picture[..8], *b"\x89PNG\r\n\x1a\n", "{name}");
            assert_eq!(picture[16..20], size.to_be_bytes(), "{name}");
            assert_eq!(picture[20..24], size.to_be_bytes(), "{name}");
            assert_eq!(picture[24..26], [8, kind], "{name}");
        }
    }

    #[test]
    fn every_pixel_of_the_outline_is_white_or_transparent() {
        // The image is stored, not compressed: a header of 2 bytes, one of 5 for the only block, then a filter byte per row.
        let at = OUTLINE.windows(4).position(|name| name == b"IDAT").unwrap();
        let (head, rest) = OUTLINE[at + 4..].split_at(7);
        assert_eq!(head[..3], [0x78, 0x01, 0x01], "one stored block");
        let lines = &rest[..32 * (1 + 32 * 4)];
        let mut white = 0;
        for line in lines.chunks(1 + 32 * 4) {
            assert_eq!(line[0], 0, "no filter");
            for dot in line[1..].chunks(4) {
                assert!(dot == [255; 4] || dot == [255, 255, 255, 0], "{dot:?}");
                white += usize::from(dot[3] == 255);
            }
        }
        assert!((100..500).contains(&white), "{white}");
    }
}
