//! No token but the signed one is served, and no input stops the program.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use teleport_msteams::msteams::inbound::{Bearer, Event, KeySet, Verified};

use super::signer::Signer;
use super::{audience, headers, now, press, set, verified, verify};

/// A good header, the keys, and the proof that it gives.
fn good() -> &'static (String, KeySet, Verified) {
    static GOOD: OnceLock<(String, KeySet, Verified)> = OnceLock::new();
    GOOD.get_or_init(|| {
        let signer = Signer::new();
        let header = format!("Bearer {}", signer.good_token());
        (header, signer.published(), verified(&signer))
    })
}

fn is_served(authorization: &[u8]) -> bool {
    let (_, keys, _) = good();
    let Ok(bearer) = Bearer::parse(authorization) else {
        return false;
    };
    let Some(Ok(key)) = keys.find(bearer.kid()) else {
        return false;
    };
    bearer.verify(&key, &audience(), now()).is_ok()
}

/// Any JSON, with the names of the fields that are read.
fn json_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("msteams".to_owned()),
        Just("invoke".to_owned()),
        Just("message".to_owned()),
        Just("adaptiveCard/action".to_owned()),
        Just("Action.Execute".to_owned()),
        Just("approve".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 6, |inner| {
        let name = prop::sample::select(PATHS.map(|path| path.rsplit('.').next().unwrap_or(path)).to_vec());
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6).prop_map(|fields| {
                let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(fields.collect::<Map<_, _>>())
            }),
        ]
    })
}

const PATHS: [&str; 24] = [
    "type",
    "name",
    "channelId",
    "id",
    "serviceUrl",
    "from",
    "from.id",
    "from.aadObjectId",
    "recipient",
    "recipient.id",
    "conversation",
    "conversation.id",
    "conversation.tenantId",
    "conversation.conversationType",
    "channelData",
    "channelData.tenant",
    "channelData.tenant.id",
    "replyToId",
    "membersAdded",
    "value",
    "value.trigger",
    "value.action",
    "value.action.data",
    "value.action.verb",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_header_stops_the_program(bytes in prop::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
        prop_assert!(!is_served(&bytes));
        let header = format!("Bearer {text}");
        prop_assert!(!is_served(header.as_bytes()));
    }

    #[test]
    fn no_segments_stop_the_program(header in json_value(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let rs256 = json!({"alg": "RS256", "kid": "K1", "x": header}).to_string();
        for header in [header.to_string(), rs256] {
            let token = [header.as_bytes(), &claims, &signature].map(encode).join(".");
            let header = format!("Bearer {token}");
            prop_assert!(!is_served(header.as_bytes()));
        }
    }

    #[test]
    fn a_token_with_one_bit_changed_is_refused(at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let (header, ..) = good();
        let mut bytes = header.clone().into_bytes();
        let at = "Bearer ".len() + at.index(bytes.len() - "Bearer ".len());
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(!is_served(&bytes));
    }

    #[test]
    fn a_part_of_a_token_and_one_with_something_added_are_refused(
        at in any::<prop::sample::Index>(),
        added in "[A-Za-z0-9_=.+/ -]{1,4}",
    ) {
        let (header, ..) = good();
        let at = at.index(header.len());
        let (start, end) = header.split_at(at);
        prop_assert!(!is_served(start.as_bytes()));
        prop_assert!(!is_served(end.as_bytes()) || at == 0);
        let start = start.max("Bearer ");
        let longer = format!("{start}{added}{}", &header[start.len()..]);
        prop_assert!(!is_served(longer.as_bytes()));
    }

    #[test]
    fn no_body_stops_the_program(bytes in any::<Vec<u8>>(), body in json_value()) {
        let (.., verified) = good();
        prop_assert!(Event::read(&bytes, verified.clone(), &audience()).is_err());
        prop_assert!(Event::read(body.to_string().as_bytes(), verified.clone(), &audience()).is_err());
    }

    #[test]
    fn no_field_stops_the_program(path in prop::sample::select(&PATHS), value in json_value()) {
        let (.., verified) = good();
        let mut body = press();
        set(&mut body, path, value);
        if let Ok(event) = Event::read(body.to_string().as_bytes(), verified.clone(), &audience()) {
            let reply = event.standard_reply();
            prop_assert!(reply.is_some() || matches!(event, Event::Press(_) | Event::Submit(_)));
        }
    }
}

#[test]
fn the_good_token_is_served() {
    let (header, keys, _) = good();
    assert!(is_served(header.as_bytes()));
    assert!(verify(&headers(Some(header)), keys).is_ok());
}
