//! The rows that a change of devices or preferences writes.

use tandem_actors::{domain::ids::UserId, keys, ports::Change, records};

use crate::push::{
    reach::{Device, Reach},
    rows,
};

#[derive(Default)]
pub(super) struct ChangedUsers {
    pub rows: Vec<Change>,
    /// `None`: the user is erased.
    pub users: Vec<(UserId, Option<Reach>)>,
}

impl ChangedUsers {
    pub fn put(&mut self, user: UserId, reach: Reach) {
        self.users.retain(|(of, _)| *of != user);
        self.users.push((user, Some(reach)));
    }

    /// These devices belong to no user any more.
    pub fn disown(&mut self, gone: impl Iterator<Item = Device>) {
        self.rows.extend(gone.map(|device| Change::Delete(keys::push_token(&device.token.digest()))));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.users.is_empty()
    }

    pub fn into_parts(mut self) -> (Vec<Change>, Vec<(UserId, Option<Reach>)>) {
        let of_user = |(user, reach): &(UserId, Option<Reach>)| match reach {
            Some(reach) => Change::Put(rows::devices(user), records::encode(reach)),
            None => Change::Delete(rows::devices(user)),
        };
        self.rows.extend(self.users.iter().map(of_user));
        (self.rows, self.users)
    }
}
