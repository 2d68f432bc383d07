//! Who has rights, and why a decision falls as it does: for people, and as tables. Never a secret.

use std::sync::{Arc, Weak};

use tidemill_core::{
    Authority, ColumnKind, Facts, Identity, IdentityKind, Peer, SignalPath, TableSpec, Value, Verb, column,
};

use crate::error::Error;
use crate::guard::Guard;
use crate::right::shown;

/// Why someone may or may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Who, by full name: `token:press-line`.
    pub who: String,
    /// What.
    pub verb: Verb,
    /// On what.
    pub path: SignalPath,
    /// Yes or no.
    pub allowed: bool,
    /// The rule that decides.
    pub rule: String,
    /// What this one may on this path otherwise, in the order of the verbs.
    pub also: Vec<Verb>,
    /// All rights of this one, as written; empty for the owner and the house, whose rights are not written.
    pub rights: Vec<String>,
}

/// Someone with rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who, by full name; `owner:*` and `house:*` for all of these.
    pub who: String,
    /// What kind.
    pub kind: IdentityKind,
    /// Their rights, as written or in words.
    pub rights: Vec<String>,
    /// When they end.
    pub expires_ns: Option<i64>,
    /// What else there is to know: from where, until when.
    pub note: String,
}

impl Guard {
    /// Explains what someone may, without being them. `who` is `token:NAME`, `zone:NAME`, `owner:NAME`, `house:NAME`, or
    /// the bare name of a token.
    ///
    /// # Errors
    /// There is nobody of that name.
    pub fn why(&self, who: &str, verb: Verb, path: &SignalPath) -> Result<Explanation, Error> {
        let identity = self.named(who)?;
        let decision = self.decide(&identity, verb, path);
        let also = |other: &Verb| *other != verb && self.decide(&identity, *other, path).allowed;
        let policy = self.policy.load();
        let holder = policy.holders.get(&identity.name);
        let rights = holder.map(|holder| holder.grants.rights.iter().map(ToString::to_string).collect());
        Ok(Explanation {
            who: identity.name.to_string(),
            verb,
            path: path.clone(),
            allowed: decision.allowed,
            rule: decision.rule,
            also: Verb::ALL.into_iter().filter(also).collect(),
            rights: rights.unwrap_or_default(),
        })
    }

    fn named(&self, who: &str) -> Result<Identity, Error> {
        let nobody = || Error::Nobody(shown(who));
        let policy = self.policy.load();
        let kind = match who.split_once(':') {
            Some(("owner", name)) if !name.is_empty() => IdentityKind::Owner,
            Some(("house", name)) if !name.is_empty() => IdentityKind::House,
            Some(("zone", name)) if policy.settings.zones.iter().any(|zone| zone.name == name) => {
                IdentityKind::Zone
            }
            Some(("token", _)) if policy.holders.contains_key(who) => IdentityKind::Token,
            None if who == "owner" => IdentityKind::Owner,
            None if policy.holders.contains_key(format!("token:{who}").as_str()) => IdentityKind::Token,
            _ => return Err(nobody()),
        };
        let name = match kind {
            IdentityKind::Token if !who.contains(':') => format!("token:{who}"),
            _ => who.to_owned(),
        };
        Ok(Identity { name: name.into(), kind, peer: Peer { door: "house", address: None } })
    }

    /// Everyone with rights: the owner and the house first, then zones, then tokens by name.
    pub fn access_list(&self) -> Vec<Access> {
        let policy = self.policy.load();
        let owner = match policy.settings.owner_uid {
            Some(uid) => {
                format!("system user {uid}, who owns the folder, and the superuser, by the control socket")
            }
            None => "the superuser, by the control socket".to_owned(),
        };
        let fixed = |who: &str, kind, rights: &str, note| Access {
            who: who.to_owned(),
            kind,
            rights: vec![rights.to_owned()],
            expires_ns: None,
            note,
        };
        let mut list = vec![
            fixed(
                "owner:*",
                IdentityKind::Owner,
                "everything but write, command and configure on tidemill/#",
                owner,
            ),
            fixed(
                "house:*",
                IdentityKind::House,
                "read:# and write:tidemill/#",
                "the plant's own engines".to_owned(),
            ),
        ];
        list.extend(policy.settings.zones.iter().filter(|zone| !zone.anonymous.is_empty()).map(|zone| {
            Access {
                who: format!("zone:{}", zone.name),
                kind: IdentityKind::Zone,
                rights: zone.anonymous.iter().map(ToString::to_string).collect(),
                expires_ns: None,
                note: zone.cidr.iter().map(|cidr| format!("from {cidr}")).collect::<Vec<_>>().join(", "),
            }
        }));
        list.extend(self.list_all().into_iter().map(|token| Access {
            who: format!("token:{}", token.name),
            kind: IdentityKind::Token,
            rights: token.allow.iter().map(ToString::to_string).collect(),
            expires_ns: token.expires_ns,
            note: if token.expired { "expired".to_owned() } else { String::new() },
        }));
        list
    }

    /// The tables of facts that the guard has: `sys.tokens` and `sys.access`.
    pub fn facts(self: &Arc<Self>) -> Vec<(&'static TableSpec, Arc<dyn Facts>)> {
        vec![
            (&TOKENS_TABLE, Arc::new(TokenFacts(Arc::downgrade(self)))),
            (&ACCESS_TABLE, Arc::new(AccessFacts(Arc::downgrade(self)))),
        ]
    }
}

/// `sys.tokens`: only who may administer everything sees it.
pub static TOKENS_TABLE: TableSpec = TableSpec {
    name: "tokens",
    description: "The tokens there are; never their secrets.",
    stream: None,
    columns: &[
        column("name", ColumnKind::Text, "Its name."),
        column("allow", ColumnKind::Text, "Its rights, separated by spaces."),
        column("created", ColumnKind::Time, "When it was made."),
        column("created_by", ColumnKind::Text, "By whom."),
        column("secret_created", ColumnKind::Time, "When its present secret was made."),
        column("expires", ColumnKind::Time, "When it ends; null: never."),
        column("expired", ColumnKind::Bool, "Whether it has ended."),
        column("last_used", ColumnKind::Time, "When it was last shown."),
        column("last_address", ColumnKind::Text, "From where it was last shown."),
        column("overlap_until", ColumnKind::Time, "Until when the secret before is taken as well."),
    ],
    path_columns: &[],
};

/// `sys.access`: one row a right.
pub static ACCESS_TABLE: TableSpec = TableSpec {
    name: "access",
    description: "Everyone with rights, one row a right.",
    stream: None,
    columns: &[
        column("who", ColumnKind::Text, "Who: token:NAME, zone:NAME, owner:* or house:*."),
        column("right", ColumnKind::Text, "A right, as it is written, or in words."),
        column("expires", ColumnKind::Time, "When it ends; null: never."),
        column("note", ColumnKind::Text, "From where, until when."),
    ],
    path_columns: &[],
};

struct TokenFacts(Weak<Guard>);
struct AccessFacts(Weak<Guard>);

fn time(time: Option<i64>) -> Value {
    time.map_or(Value::None, Value::Int)
}

impl Facts for TokenFacts {
    fn rows(&self) -> Vec<Vec<Value>> {
        let Some(guard) = self.0.upgrade() else { return Vec::new() };
        let row = |token: crate::TokenInfo| {
            let allow = token.allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            vec![
                Value::Text(token.name),
                Value::Text(allow.into()),
                Value::Int(token.created_ns),
                Value::Text(token.created_by),
                Value::Int(token.secret_created_ns),
                time(token.expires_ns),
                Value::Bool(token.expired),
                time(token.last_used_ns),
                token.last_address.map_or(Value::None, |address| Value::Text(address.to_string().into())),
                time(token.overlap_until_ns),
            ]
        };
        guard.list_all().into_iter().map(row).collect()
    }
}

impl Facts for AccessFacts {
    fn rows(&self) -> Vec<Vec<Value>> {
        let Some(guard) = self.0.upgrade() else { return Vec::new() };
        let rows = guard.access_list().into_iter().flat_map(|access| {
            access.rights.clone().into_iter().map(move |right| {
                vec![
                    Value::Text(access.who.as_str().into()),
                    Value::Text(right.into()),
                    time(access.expires_ns),
                    Value::Text(access.note.as_str().into()),
                ]
            })
        });
        rows.collect()
    }
}
