//! Access Lists: their titles, their reviews, and their owners.

use jiff::{SignedDuration, Timestamp};
use prost::Message as _;
use prost::bytes::Bytes;

use crate::domain::reminders::ReviewedList;
use crate::teleport::convert::time;
use crate::teleport::damaged::{Kind, Read};
use crate::teleport::lossy::{Reading, id, text};
use crate::teleport::pages::{PageSize, Pages};
use crate::teleport::wire::types;
use crate::teleport::{Client, Error, Meaning};

/// Number of lists per page. Answers must stay below gRPC's 4 MiB limit on the server.
const PAGE: i32 = 100;

const GRANT: &str = hint!("Grant the role list and read on access_list");

impl Client {
    /// Reads the title of an Access List.
    ///
    /// # Errors
    /// `Denied` if the role may not read Access Lists, `NotFound` if the list does not exist.
    pub async fn access_list_title(&self, name: &str) -> Result<String, Error> {
        let query = types::GetAccessListRequest { name: name.to_owned() };
        let method = "/teleport.accesslist.v1.AccessListService/GetAccessList";
        let bytes = self.ask_raw("read an Access List", method, query).await;
        let bytes = bytes.map_err(|error| match error.meaning() {
            Meaning::Denied => error.or_hint(hint!("Grant the role read on access_list")),
            _ => error,
        })?;
        let read = list_title(name, bytes.clone());
        Ok(self.damaged().take(Kind::AccessList, &bytes, read).unwrap_or_default())
    }

    /// Lists every Access List, and passes those that are reviewed regularly to `each`. Returns the number of all lists.
    ///
    /// # Errors
    /// `Denied` if the role may not list them, `Unsupported` if the server does not know Access Lists.
    pub async fn access_lists(&self, mut each: impl FnMut(ReviewedList)) -> Result<usize, Error> {
        let doing = "list Access Lists";
        let (mut listed, mut pages, mut size) = (0, Pages::new(doing), PageSize::new(PAGE));
        loop {
            let query = types::ListAccessListsRequest {
                page_size: size.get(),
                next_token: pages.key(),
            };
            let method = "/teleport.accesslist.v1.AccessListService/ListAccessLists";
            let page: types::ListAccessListsResponse = match self.ask(doing, method, query).await {
                Err(error) if error.meaning() == Meaning::Exhausted && size.shrink() => {
                    let limit = size.get();
                    tracing::debug!(%error, limit, "Page of Access Lists exceeds the message limit, using smaller pages");
                    continue;
                }
                Err(error) if error.meaning() == Meaning::Denied => return Err(error.or_hint(GRANT)),
                page => page?,
            };
            size.succeeded();
            listed += page.access_lists.len();
            for bytes in &page.access_lists {
                let read = self.damaged().take(Kind::AccessList, bytes, reviewed_list(bytes));
                read.flatten().map(&mut each);
            }
            if !pages.advance(page.encoded_len(), page.next_token)? {
                return Ok(listed);
            }
        }
    }

    /// Returns the users that own an Access List, including those that other lists pass on. A server that cannot list
    /// those leaves the users that the list itself names.
    ///
    /// # Errors
    /// `Denied` if the role may not read Access Lists, `NotFound` if the list does not exist.
    pub async fn access_list_owners(&self, list: &ReviewedList) -> Result<Vec<String>, Error> {
        let query = types::GetAccessListOwnersRequest {
            access_list: list.name.clone(),
        };
        let method = "/teleport.accesslist.v1.AccessListService/GetAccessListOwners";
        let bytes = match self.ask_raw("list the owners of an Access List", method, query).await {
            Err(error) if error.meaning() == Meaning::Unsupported => return Ok(list.owners.clone()),
            Err(error) if error.meaning() == Meaning::Denied => return Err(error.or_hint(GRANT)),
            bytes => bytes?,
        };
        let read = all_owners(&list.name, bytes.clone());
        Ok(self.damaged().take(Kind::AccessList, &bytes, read).unwrap_or_default())
    }
}

/// Decodes the title of an Access List.
pub(super) fn list_title(name: &str, bytes: Bytes) -> Read<String> {
    let mut reading = Reading::default();
    let message: types::AccessList = reading.message(bytes);
    let spec: types::AccessListSpec = reading.or_default(message.spec);
    Read {
        item: Some(text(&spec.title)),
        id: Some(name.to_owned()),
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes an Access List; `None` if it is not reviewed regularly, as are lists of other sources (`scim`, `static`).
pub(super) fn reviewed_list(bytes: &Bytes) -> Read<Option<ReviewedList>> {
    let mut reading = Reading::default();
    let message: types::AccessList = reading.message(bytes.clone());
    let header: types::AccessListHeader = reading.or_default(message.header);
    let metadata: types::HeaderMetadata = reading.or_default(header.metadata);
    let spec: types::AccessListSpec = reading.or_default(message.spec);
    let status: types::AccessListStatus = reading.or_default(message.status);
    let name = id(&metadata.name);
    if name.is_none() {
        reading.add_flaw("it has no readable name");
    }
    let audit: types::AccessListAudit = reading.or_default(spec.audit.clone());
    let notifications: types::AuditNotifications = reading.or_default(audit.notifications);
    let notice: prost_types::Duration = reading.or_default(notifications.start);
    // A date that cannot be decoded reads as 1970.
    let due = time(&mut reading, audit.next_audit_date).filter(|due| *due > Timestamp::UNIX_EPOCH);
    let owners = users(&mut reading, spec.owners);
    let item = name.clone().map(|name| {
        Some(ReviewedList {
            name,
            title: text(&spec.title),
            owners,
            due: due?,
            notice: SignedDuration::from_secs(notice.seconds),
            members: status.member_count,
        })
    });
    Read {
        item,
        id: name,
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Decodes the owners of an Access List.
pub(super) fn all_owners(list: &str, bytes: Bytes) -> Read<Vec<String>> {
    let mut reading = Reading::default();
    let message: types::GetAccessListOwnersResponse = reading.message(bytes);
    Read {
        item: Some(users(&mut reading, message.owners)),
        id: Some(list.to_owned()),
        flaw: reading.flaw().map(str::to_owned),
    }
}

/// Returns the owners that are users. An owner that cannot be read is omitted.
fn users(reading: &mut Reading, owners: Vec<Bytes>) -> Vec<String> {
    let owners: Vec<types::AccessListOwner> = reading.list(owners);
    let is_user = |owner: &types::AccessListOwner| owner.membership_kind() != types::MembershipKind::List;
    owners
        .iter()
        .filter(|owner| is_user(owner))
        .filter_map(|owner| id(&owner.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp as WireTime};

    use super::*;

    fn encoded(message: &impl prost::Message) -> Bytes {
        message.encode_to_vec().into()
    }

    fn list(name: &'static [u8], audit: Option<types::AccessListAudit>) -> Bytes {
        let metadata = types::HeaderMetadata {
            name: Bytes::from_static(name),
        };
        let header = types::AccessListHeader {
            metadata: Some(encoded(&metadata)),
        };
        let owner = |name: &'static [u8], kind: types::MembershipKind| {
            encoded(&types::AccessListOwner {
                name: Bytes::from_static(name),
                membership_kind: kind.into(),
            })
        };
        let spec = types::AccessListSpec {
            owners: vec![
                owner(b"alice", types::MembershipKind::Unspecified),
                owner(b"other-list", types::MembershipKind::List),
                owner(b"\xff", types::MembershipKind::User),
                Bytes::from_static(b"\x0a\x7f"),
                owner(b"bob", types::MembershipKind::User),
            ],
            audit: audit.map(|audit| encoded(&audit)),
            title: Bytes::from_static(b"Database people"),
        };
        let status = types::AccessListStatus { member_count: Some(7) };
        encoded(&types::AccessList {
            header: Some(encoded(&header)),
            spec: Some(encoded(&spec)),
            status: Some(encoded(&status)),
        })
    }

    fn audit(date: i64) -> types::AccessListAudit {
        let start = Duration { seconds: 60, nanos: 0 };
        let notifications = types::AuditNotifications {
            start: Some(encoded(&start)),
        };
        types::AccessListAudit {
            next_audit_date: Some(encoded(&WireTime {
                seconds: date,
                nanos: 0,
            })),
            notifications: Some(encoded(&notifications)),
        }
    }

    #[test]
    fn a_list_is_read_with_the_owners_that_are_users() {
        let read = reviewed_list(&list(b"0d7f", Some(audit(1_800_000_000))));
        let expected = ReviewedList {
            name: "0d7f".to_owned(),
            title: "Database people".to_owned(),
            owners: vec!["alice".to_owned(), "bob".to_owned()],
            due: Timestamp::from_second(1_800_000_000).unwrap(),
            notice: SignedDuration::from_mins(1),
            members: Some(7),
        };
        assert_eq!(read.item, Some(Some(expected)));
        assert!(read.flaw.is_some(), "one owner is broken");
    }

    #[test]
    fn a_list_without_a_date_is_not_reviewed_and_one_without_a_name_is_skipped() {
        let unset = audit(-62_135_596_800);
        let broken = types::AccessListAudit {
            next_audit_date: Some(Bytes::from_static(b"\x08")),
            notifications: None,
        };
        for audit in [None, Some(types::AccessListAudit::default()), Some(unset), Some(broken)] {
            assert_eq!(reviewed_list(&list(b"0d7f", audit)).item, Some(None));
        }
        let nameless = reviewed_list(&list(b"", Some(audit(1))));
        assert!(nameless.item.is_none() && nameless.flaw.is_some());
        let immediately = types::AccessListAudit {
            notifications: None,
            ..audit(5)
        };
        let read = reviewed_list(&list(b"0d7f", Some(immediately))).item.flatten().unwrap();
        assert_eq!(read.notice, SignedDuration::ZERO);
    }
}
