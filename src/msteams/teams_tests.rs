//! Tests of `teams.rs`.

use std::sync::Mutex;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::config::{AppCredential, AppSecret, Endpoints, GraphInstallations, Proxies};
use crate::msteams::{Meaning, Retry, Urgency};
use crate::secret::Secret;

/// The answers of the services in order, and the calls: method, path with query, token.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

async fn answer(State(script): State<Script>, request: Request) -> (StatusCode, String) {
    let mut calls = script.calls.lock().unwrap();
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .map(|value| value.to_str().unwrap());
    calls.push(format!(
        "{} {} {}",
        request.method(),
        request.uri(),
        token.unwrap_or("-")
    ));
    if request.uri().path().ends_with("/token") {
        let grant = json!({"access_token": format!("t{}", calls.len()), "expires_in": 3599});
        return (StatusCode::OK, grant.to_string());
    }
    let (status, body) = script.answers.lock().unwrap().remove(0);
    (StatusCode::from_u16(status).unwrap(), body.to_owned())
}

/// Runs a test against a server with these answers, and returns the calls.
async fn with_server(answers: &[(u16, &'static str)], test: impl AsyncFnOnce(Teams)) -> Vec<String> {
    let script = Script::default();
    *script.answers.lock().unwrap() = answers.to_vec();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let url = |path| format!("{base}/{path}").parse().unwrap();
    let settings = MicrosoftSettings {
        app_id: "app".to_owned(),
        proxies: Proxies::default(),
        credential: AppCredential::Secrets(vec![AppSecret {
            value: Secret::new("s&cret"),
            file: None,
            inline: true,
        }]),
        tenant_id: "tenant".to_owned(),
        teams_app_id: "manifest".to_owned(),
        upgrade_app: false,
        endpoints: Endpoints {
            cloud: "public",
            installations: GraphInstallations::All,
            login: url("login"),
            graph: url("graph"),
            bot: url("bot/teams/"),
            openid: url("openid"),
            graph_scope: "graph".to_owned(),
            bot_scope: "bot".to_owned(),
            issuer: "issuer".to_owned(),
            teams: "https://gov.teams.microsoft.us".to_owned(),
        },
    };
    let limits = Limits {
        microsoft_first_pause: Duration::from_millis(1),
        microsoft_longest_pause: Duration::from_millis(5),
        ..Limits::default()
    };
    let app = Router::new().fallback(answer).with_state(script.clone());
    tokio::select! {
        end = axum::serve(listener, app).into_future() => panic!("the server ended: {end:?}"),
        () = test(Teams::new(&settings, &limits).unwrap()) => {}
    }
    script.calls.lock().unwrap().clone()
}

fn announcement() -> Priority {
    Priority::new(Urgency::Announcement, "request")
}

fn update() -> Priority {
    Priority::new(Urgency::Resolution, "request")
}

const UNAUTHORIZED: &str = r#"{"message":"Authorization has been denied for this request."}"#;

fn activity() -> Activity {
    Activity::new(&json!({}), "summary", false)
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_a_busy_connector_is_retried() {
    let answers = [
        (401, UNAUTHORIZED),
        (503, ""),
        (201, r#"{"id":"1"}"#),
        (200, r#"{"id":"1"}"#),
        (202, ""),
    ];
    let calls = with_server(&answers, async |teams| {
        let id = teams
            .post(
                "19:a@thread.tacv2",
                &activity(),
                &announcement(),
                &CancellationToken::new(),
            )
            .await;
        assert_eq!(id.unwrap(), "1");
        teams
            .update("c", "1", &activity(), &update(), &CancellationToken::new())
            .await
            .unwrap();
        let error = teams
            .post("c", &activity(), &announcement(), &CancellationToken::new())
            .await
            .unwrap_err();
        assert_eq!((error.meaning(), error.retry()), (Meaning::Delivered, Retry::Never));
    });
    let post = "POST /bot/teams/v3/conversations/19%3Aa%40thread.tacv2/activities Bearer";
    let expected = [
        "POST /login/tenant/oauth2/v2.0/token -",
        &format!("{post} t1"),
        "POST /login/tenant/oauth2/v2.0/token -",
        &format!("{post} t3"),
        &format!("{post} t3"),
        "PUT /bot/teams/v3/conversations/c/activities/1 Bearer t3",
        "POST /bot/teams/v3/conversations/c/activities Bearer t3",
    ];
    assert_eq!(calls.await, expected);
}

#[tokio::test]
async fn a_user_without_the_app_gets_it_and_is_looked_up_once() {
    let no_app = r#"{"error":{"code":"BadArgument","message":"Bot is not installed in user's personal scope"}}"#;
    let answers = [
        (200, r#"{"value":[{"id":"u","mail":"o'brien@example.com"}]}"#),
        (403, no_app),
        (200, r#"{"value":[{"id":"catalog","displayName":"App"}]}"#),
        (200, r#"{"value":[]}"#),
        (409, r#"{"error":{"code":"Conflict"}}"#),
        (403, no_app),
        (200, r#"{"value":[{"id":"i"}]}"#),
        (404, r#"{"error":{"code":"NotFound"}}"#),
        (200, r#"{"id":"19:x@unq.gbl.spaces"}"#),
    ];
    let calls = with_server(&answers, async |teams| {
        let address = Address::parse("o'brien@example.com").unwrap();
        let priority = announcement();
        let (one, two) = tokio::join!(teams.resolve(&address, &priority), teams.resolve(&address, &priority));
        assert_eq!(one.unwrap().id, "19:x@unq.gbl.spaces");
        assert_eq!(two.unwrap().id, "19:x@unq.gbl.spaces");
    });
    let calls = calls.await;
    assert_eq!(calls.len(), 2 + answers.len());
    assert!(
        calls[1].contains(
            "/users?$filter=mail%20eq%20%27o%27%27brien%40example.com%27\
             %20or%20userPrincipalName%20eq%20%27o%27%27brien%40example.com%27\
             &$select=id,displayName,mail,userPrincipalName "
        ),
        "{calls:?}"
    );
    assert!(calls[3].starts_with("POST /bot/teams/v3/conversations "));
}

#[tokio::test]
async fn a_user_with_the_app_costs_one_call_of_graph() {
    let answers = [(200, r#"{"id":"u"}"#), (201, r#"{"id":"a:1"}"#)];
    let calls = with_server(&answers, async |teams| {
        let address = Address::parse("a36aec2e-f11c-4219-b79a-19ffff57de70").unwrap();
        let found = teams.resolve(&address, &announcement()).await.unwrap();
        assert_eq!((found.id.as_str(), found.person.unwrap().id.as_str()), ("a:1", "u"));
        assert_eq!(teams.resolve(&address, &announcement()).await.unwrap().id, "a:1");
    });
    assert_eq!(calls.await.len(), 2 + answers.len());
}

#[tokio::test]
async fn a_directory_that_does_not_combine_conditions_is_asked_for_one_name_after_the_other() {
    let answers = [
        (400, r#"{"error":{"code":"Request_BadRequest"}}"#),
        (200, r#"{"value":[]}"#),
        (200, r#"{"id":"u"}"#),
        (201, r#"{"id":"a:1"}"#),
    ];
    let calls = with_server(&answers, async |teams| {
        let address = Address::parse("a@example.com").unwrap();
        assert_eq!(teams.resolve(&address, &announcement()).await.unwrap().id, "a:1");
    });
    let calls = calls.await;
    assert!(calls[2].contains("/users?$filter=mail%20eq%20%27a%40example.com%27&"));
    assert!(calls[3].contains("/users/a%40example.com?"));
}

#[tokio::test]
async fn a_refusal_that_concerns_every_chat_installs_nothing() {
    for (status, body) in [
        (403, r#"{"error":{"code":"BotDisabledByAdmin"}}"#),
        (403, r#"{"error":{"code":"InvalidBotApiHost"}}"#),
        (500, r#"{"error":{"code":"ServiceError"}}"#),
    ] {
        let answers = [(200, r#"{"id":"u"}"#), (status, body), (status, body)];
        with_server(&answers, async |teams| {
            let address = Address::parse("a36aec2e-f11c-4219-b79a-19ffff57de70").unwrap();
            let error = teams.resolve(&address, &announcement()).await.unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with("could not open the chat of the app for a36aec2e"),
                "{error}"
            );
            assert_eq!(error.retry(), Retry::Later(None));
        })
        .await;
    }
}

#[tokio::test]
async fn refusals_are_not_repeated_and_cause_no_burst_of_logins() {
    let answers = [
        (403, r#"{"error":{"code":"Authorization_RequestDenied"}}"#),
        (500, ""),
        (401, UNAUTHORIZED),
        (401, UNAUTHORIZED),
        (401, UNAUTHORIZED),
        (401, UNAUTHORIZED),
    ];
    let calls = with_server(&answers, async |teams| {
        let error = teams.find_app().await.unwrap_err();
        assert!(error.hint().unwrap().contains("AppCatalog.Read.All"));
        let activity = activity();
        let stop = CancellationToken::new();
        let priority = announcement();
        let post = || teams.post("c", &activity, &priority, &stop);
        assert_eq!(post().await.unwrap_err().meaning(), Meaning::Unreachable);
        for _ in 0..3 {
            let error = post().await.unwrap_err();
            assert_eq!(error.meaning(), Meaning::Credentials);
            assert!(error.hint().unwrap().contains("Azure Bot"));
        }
    });
    let calls = calls.await;
    let logins = calls.iter().filter(|call| call.contains("/token"));
    assert_eq!((logins.count(), calls.len()), (3, 3 + answers.len()));
}

#[tokio::test]
async fn a_waiting_call_is_small() {
    with_server(&[], async |teams| {
        let (address, activity) = (Address::parse("a@b").unwrap(), activity());
        let priority = announcement();
        assert!(size_of_val(&teams.resolve(&address, &priority)) < 1_024);
        assert!(size_of_val(&teams.post("c", &activity, &update(), &CancellationToken::new())) < 2_048);
    })
    .await;
}

#[test]
fn every_call_can_be_made_from_any_thread() {
    fn check<T: Send>(_: impl FnOnce(&'static Teams) -> T) {}
    check(Teams::find_app);
    check(|teams| async move {
        let heartbeat = Heartbeat::new("test", Duration::from_secs(5));
        teams.renew_tokens(&heartbeat, &heartbeat).await
    });
    check(|teams| async move {
        let address = Address::parse("a@b").unwrap();
        teams.resolve(&address, &announcement()).await
    });
    check(|teams| async move {
        teams
            .update("c", "1", &activity(), &update(), &CancellationToken::new())
            .await?;
        teams.post("c", &activity(), &update(), &CancellationToken::new()).await
    });
}

#[tokio::test]
async fn links_open_teams_of_the_configured_cloud() {
    let calls = with_server(&[], async |teams| {
        let link = teams.message_link("19:x@thread.tacv2", "17", Some("team"));
        let expected = "https://gov.teams.microsoft.us/l/message/19%3Ax%40thread.tacv2/17\
                        ?tenantId=tenant&groupId=team&parentMessageId=17";
        assert_eq!(link.as_deref(), Some(expected));
    })
    .await;
    assert!(calls.is_empty());
}

#[tokio::test]
async fn a_group_has_at_most_500_people_and_only_people_count() {
    let users = |numbers: std::ops::Range<u32>| {
        let user = |number| {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            json!({"@odata.type": "#microsoft.graph.user", "id": id})
        };
        numbers.map(user).collect::<Vec<_>>()
    };
    let mut first = users(0..2);
    first.push(json!({"@odata.type": "#microsoft.graph.device", "id": "00000000-0000-4000-8000-999999999999"}));
    first.push(json!({"@odata.type": "#microsoft.graph.user", "id": "../../me"}));
    let mut disabled = users(2..3);
    disabled[0]["accountEnabled"] = json!(false);
    first.extend(disabled);
    for (number, is_cut) in [(500, false), (501, true)] {
        let mut page = first.clone();
        page.extend(users(10..8 + number));
        let page: &'static str = json!({ "value": page }).to_string().leak();
        with_server(&[(200, page)], async |teams| {
            let found = teams
                .members("a36aec2e-f11c-4219-b79a-19ffff57de70", &announcement())
                .await;
            let members = found.unwrap();
            assert_eq!((members.people.len(), members.is_cut), (500, is_cut));
        })
        .await;
    }
    let away = r#"{"value":[],"@odata.nextLink":"https://evil.example/v1.0/groups/x/transitiveMembers"}"#;
    with_server(&[(200, away)], async |teams| {
        let error = teams.members("x", &announcement()).await.unwrap_err();
        assert!(
            error.to_string().contains("the next page is on another host"),
            "{error}"
        );
    })
    .await;
}
