//! Reviews on behalf of a person, as the client submits them and the pretend cluster stores them.

use teleport_msteams::domain::request::RequestId;
use teleport_msteams::domain::review::{Submission, Verb};
use teleport_msteams::teleport::{Client, Meaning};

use crate::support::{Town, for_alice};
use crate::world::cluster::{Cluster, Draft, State};

struct Reviewing {
    cluster: Cluster,
    client: Client,
    request: String,
    _town: Town,
}

impl Reviewing {
    async fn start() -> Self {
        let town = Town::build().await;
        let settings = town.settings(&town.config());
        let client = Client::new(&settings.teleport, &settings.limits).await.unwrap();
        let cluster = town.cluster.clone();
        for user in ["alice", "bob", "robin@example.com"] {
            cluster.set_traits(user, false, &[("teams_user_id", &[user])]);
        }
        let request = cluster.create(Draft {
            approvals: 2,
            ..for_alice()
        });
        Self {
            cluster,
            client,
            request,
            _town: town,
        }
    }

    /// Submits a review for this author, and returns the failure if it fails.
    async fn failure(&self, author: &str, verb: Verb) -> Option<(Meaning, String)> {
        let id = RequestId::new(&self.request);
        let submission = Submission::new(id, author, verb, Some("on call".to_owned()));
        let submitted = self.client.submit_review(&submission).await;
        submitted.err().map(|error| (error.meaning(), error.to_string()))
    }

    async fn denied(&self, author: &str, text: &str) {
        let (meaning, error) = self.failure(author, Verb::Approve).await.unwrap();
        assert_eq!(meaning, Meaning::Denied, "{error}");
        assert!(error.contains(text), "{error}");
    }
}

#[tokio::test]
async fn a_review_is_stored_for_its_author() {
    let town = Reviewing::start().await;
    assert_eq!(town.failure("alice", Verb::Approve).await, None);
    town.denied("alice", "user \"alice\" has already reviewed this request")
        .await;
    town.cluster.faults(|faults| faults.reviews_already_exist = true);
    let (meaning, error) = town.failure("alice", Verb::Deny).await.unwrap();
    assert_eq!(meaning, Meaning::Conflict, "{error}");
    town.cluster.lag_reads();
    assert_eq!(town.failure("bob", Verb::Approve).await, None);
    let id = RequestId::new(&town.request);
    let read = town.client.request(&id).await.unwrap().unwrap();
    assert_eq!(read.reviews.len(), 1);
    town.cluster.catch_up_reads();
    let read = town.client.request(&id).await.unwrap().unwrap();
    assert_eq!(read.reviews.len(), 2);
    let unknown = town.client.request(&RequestId::new("unknown")).await.unwrap();
    assert_eq!(unknown, None);
    let reviews = town.cluster.reviews(&town.request);
    let by: Vec<_> = reviews
        .iter()
        .map(|review| {
            (
                review.author.as_str(),
                review.submitted_by.as_str(),
                review.reason.as_str(),
            )
        })
        .collect();
    let expected = ["alice", "bob"].map(|author| (author, "teleport-msteams", "on call"));
    assert_eq!(by, expected);
    let spec = town.cluster.request(&town.request).unwrap().spec.unwrap();
    assert_eq!(spec.state(), State::Approved);
    town.cluster.set_traits("carol", false, &[]);
    town.denied("carol", "the access request has been already approved")
        .await;
    assert_eq!(town.cluster.calls_of("SubmitAccessReview"), 5);
}

#[tokio::test]
async fn a_review_that_is_not_allowed_is_not_stored() {
    let town = Reviewing::start().await;
    town.denied("robin@example.com", "cannot review request").await;
    town.cluster.bar_reviewer("bob");
    town.denied("bob", "user \"bob\" cannot review request").await;
    town.cluster.set_submit_for_users(&["bob"]);
    let text = "user \"teleport-msteams\" cannot submit reviews on behalf of \"alice\"";
    town.denied("alice", text).await;
    town.cluster.set_submit_for_users(&["*"]);
    town.cluster.faults(|faults| faults.old_server = true);
    town.denied("alice", text).await;
    town.cluster.faults(|faults| faults.old_server = false);
    town.cluster.add_bot("machine");
    town.denied("machine", "is a bot").await;
    let (meaning, error) = town.failure("unknown", Verb::Approve).await.unwrap();
    assert_eq!(meaning, Meaning::NotFound, "{error}");
    town.cluster.delete(&town.request);
    let (meaning, error) = town.failure("alice", Verb::Approve).await.unwrap();
    assert_eq!(meaning, Meaning::NotFound, "{error}");
    assert_eq!(town.cluster.reviews(&town.request), []);
}

#[tokio::test]
async fn the_answer_to_a_review_may_be_lost() {
    let town = Reviewing::start().await;
    town.cluster.faults(|faults| {
        faults.fail_reviews = Some((1, tonic::Code::Internal));
        faults.lose_review_answers = 1;
    });
    assert!(town.failure("alice", Verb::Approve).await.is_some());
    assert!(town.cluster.reviews(&town.request).is_empty());
    let (meaning, error) = town.failure("alice", Verb::Approve).await.unwrap();
    assert_eq!(meaning, Meaning::Unreachable, "{error}");
    assert_eq!(town.cluster.reviews(&town.request).len(), 1);
}

#[tokio::test]
async fn users_are_found_by_a_trait() {
    let town = Reviewing::start().await;
    town.cluster.faults(|faults| faults.page = Some(1));
    let find = async |value: &str| town.client.users_with_trait("teams_user_id", value).await;
    assert_eq!(find("bob").await.unwrap(), ["bob"]);
    assert_eq!(find("carol").await.unwrap(), [""; 0]);
    town.cluster
        .set_traits("robert", false, &[("teams_user_id", &["x", "bob"])]);
    assert_eq!(find("bob").await.unwrap(), ["bob", "robert"]);
    let found = town.client.trait_of_user("robert", "teams_user_id").await.unwrap();
    assert!(found.is_some());
    town.cluster.faults(|faults| faults.ignore_user_filter = true);
    assert_eq!(find("carol").await.unwrap_err().meaning(), Meaning::Unsupported);
    town.cluster.faults(|faults| faults.deny_users = true);
    assert_eq!(find("bob").await.unwrap_err().meaning(), Meaning::Denied);
    town.cluster.delete_user("robert");
    town.cluster.faults(|faults| faults.deny_users = false);
    let found = town.client.trait_of_user("robert", "teams_user_id").await.unwrap();
    assert_eq!(found, None);
}
