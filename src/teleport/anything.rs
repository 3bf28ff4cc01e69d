//! Decodes arbitrary bytes as every message that Teleport sends, for the fuzzer and for property tests.

use prost::Message;
use prost::bytes::Bytes;

use crate::teleport::access_lists;
use crate::teleport::convert;
use crate::teleport::lossy::Reading;
use crate::teleport::wire::{proto, types};

/// Decodes bytes as every answer, event and item of Teleport, and returns how many of these decoders produced an item.
///
/// Never fails, whatever the bytes are.
pub fn read_anything(bytes: &[u8]) -> usize {
    let bytes = Bytes::copy_from_slice(bytes);
    answer::<proto::PingResponse>(&bytes);
    answer::<proto::Event>(&bytes);
    let requests = answer::<proto::ListAccessRequestsResponse>(&bytes).access_requests;
    let records = answer::<proto::PluginDataSeq>(&bytes).plugin_data;
    let resources = answer::<proto::ListResourcesResponse>(&bytes).resources;
    let rules = answer::<types::ListRulesResponse>(&bytes).rules;
    let access_lists = answer::<types::ListAccessListsResponse>(&bytes).access_lists;
    let lists = [requests, records, resources, rules, access_lists];
    let items = lists.iter().flatten().chain([&bytes]);
    items.map(item).sum::<usize>() + convert::granted(bytes.clone()).len()
}

fn answer<A: Message + Default>(bytes: &Bytes) -> A {
    Reading::default().message(bytes.clone())
}

fn item(bytes: &Bytes) -> usize {
    [
        convert::access_request(bytes).item.is_some(),
        convert::plugin_data(bytes, "msteams").item.is_some(),
        convert::rule(bytes).item.is_some(),
        convert::details(bytes).item.is_some(),
        convert::deleted(bytes).item.is_some(),
        convert::user("bob", bytes.clone()).item.is_some(),
        convert::login_state("bob", bytes.clone()).item.is_some(),
        access_lists::reviewed_list(bytes).item.is_some(),
        access_lists::all_owners("list", bytes.clone()).item.is_some(),
    ]
    .into_iter()
    .filter(|some| *some)
    .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn metadata(name: &str, labels: Vec<Bytes>) -> Bytes {
        let message = types::Metadata {
            name: Bytes::from(name.to_owned()),
            labels,
            ..types::Metadata::default()
        };
        message.encode_to_vec().into()
    }

    fn entry(key: &str, value: &str) -> Bytes {
        let entry = types::plugin_data_entry::DataEntry {
            key: Bytes::from(key.to_owned()),
            value: Bytes::from(value.to_owned()),
        };
        entry.encode_to_vec().into()
    }

    fn request(id: &str, reviews: Vec<Bytes>) -> Bytes {
        let time = prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 5,
        };
        let time: Bytes = time.encode_to_vec().into();
        let spec = types::AccessRequestSpecV3 {
            user: "bob".into(),
            roles: vec!["dba".into(), "dev".into()],
            state: types::RequestState::Pending.into(),
            created: Some(time.clone()),
            request_reason: "because".into(),
            reviews,
            suggested_reviewers: vec!["alice".into()],
            resource_expiry: Some(time),
            ..types::AccessRequestSpecV3::default()
        };
        let message = types::AccessRequestV3 {
            metadata: Some(metadata(id, Vec::new())),
            spec: Some(spec.encode_to_vec().into()),
            ..types::AccessRequestV3::default()
        };
        message.encode_to_vec().into()
    }

    fn review(author: &str) -> Bytes {
        let review = types::AccessReview {
            author: Bytes::from(author.to_owned()),
            proposed_state: types::RequestState::Approved.into(),
            ..types::AccessReview::default()
        };
        review.encode_to_vec().into()
    }

    fn record(id: &str) -> Bytes {
        let data = types::PluginDataEntry {
            data: vec![entry("user", "bob"), entry("messages", "m")],
        };
        let entries = ["slack", "msteams"].map(|plugin| {
            let entry = types::plugin_data_spec_v3::EntriesEntry {
                key: plugin.into(),
                value: Some(data.encode_to_vec().into()),
            };
            entry.encode_to_vec().into()
        });
        let spec = types::PluginDataSpecV3 {
            entries: entries.into(),
        };
        let message = types::PluginDataV3 {
            metadata: Some(metadata(id, Vec::new())),
            spec: Some(spec.encode_to_vec().into()),
            ..types::PluginDataV3::default()
        };
        message.encode_to_vec().into()
    }

    fn rule(name: &str) -> Bytes {
        let header = types::HeaderMetadata {
            name: Bytes::from(name.to_owned()),
        };
        let spec = types::AccessMonitoringRuleSpec {
            subjects: vec!["access_request".into()],
            condition: "true".into(),
            ..types::AccessMonitoringRuleSpec::default()
        };
        let message = types::AccessMonitoringRule {
            metadata: Some(header.encode_to_vec().into()),
            spec: Some(spec.encode_to_vec().into()),
            ..types::AccessMonitoringRule::default()
        };
        message.encode_to_vec().into()
    }

    fn node(name: &str) -> Bytes {
        let node = types::ServerV2 {
            metadata: Some(metadata(name, vec![entry("env", "prod")])),
            ..types::ServerV2::default()
        };
        let resource = proto::paginated_resource::Resource::Node(node.encode_to_vec().into());
        let message = proto::PaginatedResource {
            resource: Some(resource),
        };
        message.encode_to_vec().into()
    }

    /// A way to break an item: overwrite some bytes at some place, or replace the whole item.
    fn breakage() -> impl Strategy<Value = (Index, Vec<u8>, bool)> {
        (
            any::<Index>(),
            proptest::collection::vec(any::<u8>(), 1..12),
            any::<bool>(),
        )
    }

    fn broken(item: &Bytes, (place, bytes, whole): &(Index, Vec<u8>, bool)) -> Bytes {
        if *whole {
            return Bytes::from(bytes.clone());
        }
        let mut item = item.to_vec();
        let place = place.index(item.len());
        for (old, new) in item[place..].iter_mut().zip(bytes) {
            *old = *new;
        }
        item.into()
    }

    /// Returns three items, of which the middle one is broken.
    fn three(item: impl Fn(&str) -> Bytes, how: &(Index, Vec<u8>, bool)) -> Vec<Bytes> {
        vec![item("a"), broken(&item("b"), how), item("c")]
    }

    /// Encodes a list and decodes it again.
    fn sent<A: Message + Default>(answer: &A) -> A {
        let mut reading = Reading::default();
        let read = reading.message(answer.encode_to_vec().into());
        assert_eq!(reading.flaw(), None);
        read
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_any_message(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            read_anything(&bytes);
        }

        #[test]
        fn a_broken_item_of_a_list_leaves_its_neighbours_unchanged(how in breakage()) {
            let requests = sent(&proto::ListAccessRequestsResponse {
                access_requests: three(|id| request(id, Vec::new()), &how),
                next_key: "d".into(),
            });
            prop_assert_eq!(&requests.next_key[..], b"d");
            let whole = convert::access_request(&request("a", Vec::new()));
            prop_assert_eq!(convert::access_request(&requests.access_requests[0]).item, whole.item);
            let last = convert::access_request(&requests.access_requests[2]);
            prop_assert_eq!((last.id.as_deref(), last.flaw), (Some("c"), None));
            convert::access_request(&requests.access_requests[1]);

            let records = sent(&proto::PluginDataSeq { plugin_data: three(record, &how) });
            for place in [0, 2] {
                let read = convert::plugin_data(&records.plugin_data[place], "msteams");
                prop_assert!(read.item.flatten().is_some_and(|data| data.len() == 2));
            }
            convert::plugin_data(&records.plugin_data[1], "msteams");

            let rules = sent(&types::ListRulesResponse { rules: three(rule, &how), next_page_token: Bytes::new() });
            let resources = sent(&proto::ListResourcesResponse { resources: three(node, &how), next_key: Bytes::new() });
            for place in [0, 2] {
                prop_assert!(convert::rule(&rules.rules[place]).item.is_some());
                let labels = convert::details(&resources.resources[place]).item.unwrap().labels;
                prop_assert_eq!(&labels["env"], "prod");
            }
            convert::rule(&rules.rules[1]);
            convert::details(&resources.resources[1]);
        }

        #[test]
        fn a_broken_review_leaves_the_request_and_the_other_reviews_unchanged(how in breakage()) {
            let read = convert::access_request(&request("a", three(review, &how))).item.unwrap();
            let expected = convert::access_request(&request("a", Vec::new())).item.unwrap();
            let authors: Vec<_> = read.reviews.iter().map(|review| review.author.as_str()).collect();
            prop_assert_eq!((authors[0], authors[2], authors.len()), ("a", "c", 3));
            prop_assert_eq!((read.user, read.roles, read.expires), (expected.user, expected.roles, expected.expires));
        }

        #[test]
        fn a_request_is_identified_by_its_id_whatever_its_content_is(content in proptest::collection::vec(any::<u8>(), 0..80)) {
            let message = types::AccessRequestV3 {
                metadata: Some(metadata("a", Vec::new())),
                spec: Some(content.into()),
                ..types::AccessRequestV3::default()
            };
            let read = convert::access_request(&message.encode_to_vec().into());
            prop_assert_eq!(read.id.as_deref(), Some("a"));
            prop_assert!(read.item.is_some());
        }
    }
}
