//! Which tokens are served.

use std::fmt::Write as _;

use jiff::SignedDuration;
use serde_json::{Value, json};
use teleport_msteams::msteams::inbound::{Bearer, Event, TokenRefusal};

use super::signer::{Signer, vectors};
use super::{audience, headers, now, press, set, verify};

/// Returns the header of a vector.
fn authorization(signer: &Signer, recipe: &Value) -> Option<String> {
    let how = &recipe["authorization"];
    if how.get("raw").is_some() {
        return how["raw"].as_str().map(str::to_owned);
    }
    let format = how["format"].as_str().unwrap_or("Bearer {t}");
    Some(format.replace("{t}", &signer.token(recipe)))
}

#[test]
fn every_token_of_the_vectors_gets_its_verdict() {
    let signer = Signer::new();
    let keys = signer.published();
    let mut reasons = String::new();
    let vectors = vectors()["vectors"].as_array().unwrap();
    for vector in vectors {
        let (id, recipe) = (vector["id"].as_str().unwrap(), &vector["recipe"]);
        let mut body = press();
        for field in ["channelId", "serviceUrl"] {
            set(&mut body, field, recipe["activity"][field].clone());
        }
        let authorization = authorization(&signer, recipe);
        let outcome = verify(&headers(authorization.as_deref()), &keys).and_then(|verified| {
            let event = Event::read(body.to_string().as_bytes(), verified, &audience());
            event.map_err(|refusal| refusal.to_string())
        });
        let verdict = if outcome.is_ok() { "accept" } else { "refuse" };
        assert_eq!(verdict, vector["want"], "{id}: {outcome:?}");
        let reason = outcome.err().unwrap_or_else(|| "served".to_owned());
        writeln!(reasons, "{id} {}: {reason}", vector["name"].as_str().unwrap()).unwrap();
    }
    assert_eq!(vectors.len(), 100);
    // The reason shows that a token is refused for what is wrong with it, and not by accident.
    insta::assert_snapshot!(reasons);
}

/// Returns the outcome of the good token with some claims changed; `null` removes a claim.
fn with_claims(claims: &[(&str, Value)]) -> Result<(), TokenRefusal> {
    let signer = Signer::new();
    let mut recipe = vectors()["vectors"][0]["recipe"].clone();
    for (name, value) in claims {
        set(&mut recipe["claims"], name, value.clone());
    }
    let header = format!("Bearer {}", signer.token(&recipe));
    let bearer = Bearer::parse(header.as_bytes()).unwrap();
    let key = signer.published().find(bearer.kid()).unwrap().unwrap();
    bearer.verify(&key, &audience(), now()).map(drop)
}

#[test]
fn the_skew_is_five_minutes() {
    for (claim, value, expected) in [
        ("exp", "now-299", Ok(())),
        ("exp", "now-300", Err(TokenRefusal::Expired)),
        ("nbf", "now+300", Ok(())),
        ("nbf", "now+301", Err(TokenRefusal::NotYetValid)),
    ] {
        assert_eq!(with_claims(&[(claim, json!(value))]), expected, "{claim} {value}");
    }
}

#[test]
fn times_are_numbers() {
    for (claim, value) in [
        ("exp", Value::Null),
        ("exp", json!(true)),
        ("exp", json!([1])),
        ("nbf", json!("string:now-60")),
        ("nbf", json!({})),
    ] {
        assert_eq!(
            with_claims(&[(claim, value.clone())]),
            Err(TokenRefusal::Times),
            "{claim} {value}"
        );
    }
    assert_eq!(with_claims(&[("exp", json!(1e300))]), Ok(()));
    assert_eq!(with_claims(&[("exp", json!(-1e300))]), Err(TokenRefusal::Expired));
    assert_eq!(with_claims(&[("nbf", json!(1e300))]), Err(TokenRefusal::NotYetValid));
    assert_eq!(
        with_claims(&[("serviceurl", json!(["https://host/"]))]),
        Err(TokenRefusal::NoServiceUrl)
    );
}

#[test]
fn a_token_is_verified_only_with_the_key_that_it_names() {
    let signer = Signer::new();
    let keys = signer.published();
    let header = format!("Bearer {}", signer.good_token());
    let usable: Vec<_> = ["K1", "K2", "K3", "K4", "K5", "KU", "KS", "KE"]
        .into_iter()
        .filter(|kid| keys.find(kid).unwrap().is_ok())
        .collect();
    assert_eq!((usable, keys.usable()), (vec!["K1"], 1));
    let renamed = signer.document().to_string().replace("\"K1\"", "\"K9\"");
    let keys = teleport_msteams::msteams::inbound::KeySet::parse(renamed.as_bytes()).unwrap();
    let other = keys.find("K9").unwrap().unwrap();
    let bearer = Bearer::parse(header.as_bytes()).unwrap();
    assert_eq!(format!("{bearer:?}"), "Bearer(<hidden>)");
    let refused = bearer.verify(&other, &audience(), now());
    assert_eq!(refused, Err(TokenRefusal::OtherKey));
}

#[test]
fn several_headers_and_long_ones_are_refused() {
    let signer = Signer::new();
    let mut headers = headers(Some(&format!("Bearer {}", signer.good_token())));
    let value = headers["authorization"].clone();
    headers.append("authorization", value);
    let refused = Bearer::from_headers(&headers).err();
    assert_eq!(refused, Some(TokenRefusal::SeveralHeaders));
    let long = format!("Bearer {}", "a".repeat(16 * 1024));
    assert_eq!(Bearer::parse(long.as_bytes()).err(), Some(TokenRefusal::TooLong));
}

#[test]
fn a_token_expires_while_its_key_stays() {
    let signer = Signer::new();
    let header = format!("Bearer {}", signer.good_token());
    let key = signer.published().find("K1").unwrap().unwrap();
    let at = |seconds| {
        let now = now() + SignedDuration::from_secs(seconds);
        Bearer::parse(header.as_bytes())?.verify(&key, &audience(), now)
    };
    assert!(at(0).is_ok_and(|verified| verified.kid() == "K1"));
    assert!(at(3_540 + 299).is_ok());
    assert_eq!(at(3_540 + 300), Err(TokenRefusal::Expired));
}
