//! The language of conditions on generated texts.

use jiff::Timestamp;
use proptest::prelude::*;
use teleport_msteams::domain::request::{AccessRequest, RequestId};
use teleport_msteams::domain::rules::{Condition, Dict, ErrorKind, Expr, Labels, Node, Span, Subject, parse};

fn expr(node: Node) -> Expr {
    Expr {
        span: Span::default(),
        node,
    }
}

/// Puts a part in parentheses if it would not be one part otherwise.
fn operand(part: Expr) -> Expr {
    match part.node {
        Node::And(_) | Node::Or(_) | Node::Equal(..) | Node::Not(_) => expr(Node::Paren(Box::new(part))),
        _ => part,
    }
}

/// Any tree that the grammar can write.
fn trees() -> impl Strategy<Value = Expr> {
    let name = "[a-z_ü][a-zA-Z0-9_ü]{0,6}x";
    let leaf = prop_oneof![
        name.prop_map(|name| expr(Node::Name(name))),
        proptest::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| expr(Node::String(bytes))),
        ".{0,8}".prop_map(|text| expr(Node::String(text.into_bytes()))),
        (0..i64::MAX).prop_map(|number| expr(Node::Int(number))),
        Just(expr(Node::Float)),
    ];
    leaf.prop_recursive(6, 64, 4, move |inner| {
        let part = inner.clone().prop_map(operand);
        let parts = proptest::collection::vec(part.clone(), 2..4);
        let boxed = part.clone().prop_map(Box::new);
        prop_oneof![
            (part.clone(), name).prop_map(|(base, name)| expr(Node::Member(Box::new(number_safe(base)), name))),
            (boxed.clone(), inner.clone()).prop_map(|(base, key)| expr(Node::Index(base, Box::new(key)))),
            (boxed.clone(), proptest::collection::vec(inner, 0..3)).prop_map(|(f, given)| expr(Node::Call(f, given))),
            boxed.clone().prop_map(|inner| expr(Node::Not(inner))),
            (boxed.clone(), boxed, any::<bool>()).prop_map(|(a, b, not)| expr(Node::Equal(a, b, not))),
            parts.clone().prop_map(|parts| expr(Node::And(parts))),
            parts.prop_map(|parts| expr(Node::Or(parts))),
        ]
    })
}

/// `1.x` would be read as a decimal number.
fn number_safe(base: Expr) -> Expr {
    match base.node {
        Node::Int(_) | Node::Float => expr(Node::Paren(Box::new(base))),
        _ => base,
    }
}

fn subject() -> Subject {
    let request = AccessRequest {
        roles: vec!["dba".to_owned()],
        reason: "because".to_owned(),
        created: Some(Timestamp::UNIX_EPOCH),
        ..AccessRequest::new(RequestId::new("r"), "bob@example.com")
    };
    Subject::new(&request, Dict::new(), Ok(Labels::default()))
}

/// Parses and evaluates any text, which must end in an answer or an error.
fn ask(text: &str) {
    if let Ok(condition) = Condition::new(text) {
        let _ = condition.holds(&subject());
        condition.deciding(&subject());
        condition.certain_failures();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_printed_reads_as_the_same_tree(tree in trees()) {
        let text = tree.to_string();
        let again = parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(again, tree, "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,64}") {
        ask(&text);
    }

    #[test]
    fn no_mix_of_its_own_words_makes_it_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("access_request.spec.roles"), Just("user.traits"), Just("set"), Just("("), Just(")"), Just("["),
                Just("]"), Just("."), Just(","), Just("&&"), Just("||"), Just("!"), Just("=="), Just("\"a\""), Just("\""),
                Just("regexp.replace"), Just("regexp.match"), Just("\"(?i)[a-z]{2,3}\\\\b\""), Just("contains"), Just("\n"),
                Just("strings.upper"), Just("email.local"), Just("between"), Just("time.RFC3339"), Just("1"), Just("1.5"),
                Just("//"), Just("/*"), Just("..."), Just("`"), Just("'"), Just("\\"),
            ],
            0..24,
        )
    ) {
        ask(&words.concat());
        ask(&words.join(" "));
    }

    #[test]
    fn no_pattern_makes_it_panic(pattern in "[-a-c.*+?(){},0-9^$|\\[\\]\\\\:<>PpQEdDwWsSbBxiUms]{0,24}") {
        let pattern = pattern.replace('\\', "\\\\").replace('"', "");
        ask(&format!("is_empty(regexp.replace(set(\"abc\"), \"{pattern}\", \"$1${{x}}$$\"))"));
        ask(&format!("regexp.match(set(\"abc\"), \"{pattern}\")"));
    }
}

#[test]
fn a_condition_may_be_long_but_not_deep() {
    let long = vec![r#"access_request.spec.roles.contains("dba")"#; 2_000].join(" || ");
    assert!(Condition::new(&long).is_ok());
    let deep = [
        "(".repeat(5_000) + "true" + &")".repeat(5_000),
        "!".repeat(5_000) + "true",
        "set(".repeat(5_000),
        "true".to_owned() + &" == true".repeat(5_000),
        "true".to_owned() + &".x".repeat(5_000),
        "x".to_owned() + &"[1]".repeat(5_000),
        "x".to_owned() + &"()".repeat(5_000),
        "true && (true || ".repeat(5_000),
        "\"".to_owned() + &"x".repeat(200_000) + "\"",
    ];
    for text in deep {
        let error = Condition::new(&text).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Parse);
        assert!(error.span.end <= text.len());
    }
}

#[test]
fn long_conditions_and_long_texts_come_to_an_end() {
    let many = 20_000;
    for text in [
        vec!["true"; many / 2].join(" && "),
        format!("set({}\"x\").contains(\"y\")", "\"x\", ".repeat(many / 2)),
        // Each of these takes exponential time in a backtracking matcher.
        format!("regexp.match(set(\"{}b\"), \"^(a|aa)*$\")", "a".repeat(many)),
        format!(
            "is_empty(regexp.replace(set(\"{}\"), \"(a*)*c\", \"\"))",
            "a".repeat(many)
        ),
        format!("regexp.match(set(\"{}\"), \"{}\")", "a".repeat(many), "*a".repeat(100)),
        format!("\"{}\" == `{}`", "\\n".repeat(many), "x".repeat(many)),
        format!("true{}", " /* x */\t".repeat(many / 4)),
    ] {
        let condition = Condition::new(&text)
            .map_err(|error| format!("{error}: {text:.60}"))
            .unwrap();
        condition.holds(&subject()).unwrap();
    }
}
