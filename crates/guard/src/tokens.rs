//! Making, listing, replacing and ending tokens. Each change is on disk as intended before it is made, and as done after.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tidemill_core::{AuditEntry, AuditResult, Identity, IdentityKind, Verb};

use crate::error::Error;
use crate::guard::{Guard, State};
use crate::right::{Right, shown};
use crate::settings::RIGHTS_MAX;
use crate::store::{self, SecretHash, Token, Tokens, is_name};
use crate::token::{Secret, TokenHash, generate};

/// What may be known of a token: everything but its secret. Times are nanoseconds UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// Its name; its identity is `token:NAME`.
    pub name: Arc<str>,
    /// Its rights.
    pub allow: Vec<Right>,
    /// When it was made.
    pub created_ns: i64,
    /// By whom.
    pub created_by: Arc<str>,
    /// When its secret was made, which is later if it was rotated.
    pub secret_created_ns: i64,
    /// When it ends; none: never.
    pub expires_ns: Option<i64>,
    /// Whether it has ended.
    pub expired: bool,
    /// When it was last shown.
    pub last_used_ns: Option<i64>,
    /// From where it was last shown.
    pub last_address: Option<IpAddr>,
    /// Until when the secret before is taken as well, while both overlap.
    pub overlap_until_ns: Option<i64>,
}

impl Guard {
    /// Makes a token, and gives its secret: it cannot be asked for again. Blocks until the change is on disk.
    ///
    /// # Errors
    /// The name or the rights are not usable, there is one of that name, `by` may not give such rights, or the change
    /// cannot be audited or saved.
    pub fn create(
        &self,
        by: &Identity,
        name: &str,
        allow: Vec<Right>,
        expires_ns: Option<i64>,
    ) -> Result<Secret, Error> {
        let mut state = self.lock();
        let detail = serde_json::json!({ "allow": allow, "expires_ns": expires_ns });
        let checked = self.check_new(&state, by, name, &allow, expires_ns);
        self.refused(by, "token.create", name, checked)?;
        let now = self.clock.wall();
        let secret = generate(self.entropy.as_ref());
        let token = Token {
            name: name.into(),
            allow,
            created_ns: now,
            created_by: by.name.clone(),
            expires_ns,
            last_used_ns: None,
            last_address: None,
            secrets: vec![SecretHash {
                sha256: TokenHash::of(secret.reveal()),
                created_ns: now,
                until_ns: None,
            }],
        };
        self.change(&mut state, by, "token.create", name, detail, |tokens| {
            tokens.insert(name.into(), Arc::new(token));
        })?;
        Ok(secret)
    }

    /// The tokens that `by` may manage, by name.
    pub fn list(&self, by: &Identity) -> Vec<TokenInfo> {
        let now = self.clock.wall();
        let tokens = self.with_uses(&self.lock().tokens);
        let visible = tokens
            .values()
            .filter(|token| by.kind == IdentityKind::House || self.may_manage(by, &token.allow).is_ok());
        visible.map(|token| info(token, now)).collect()
    }

    /// Every token, for those who have been asked already whether they may know.
    pub(crate) fn list_all(&self) -> Vec<TokenInfo> {
        let now = self.clock.wall();
        self.with_uses(&self.lock().tokens).values().map(|token| info(token, now)).collect()
    }

    /// Ends a token: from now on it is worth nothing, also on connections that stand. Blocks until that is on disk.
    ///
    /// # Errors
    /// There is none of that name, `by` may not, or the change cannot be audited or saved.
    pub fn revoke(&self, by: &Identity, name: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let checked = self.known(&state, by, name);
        let token = self.refused(by, "token.revoke", name, checked)?;
        let detail = serde_json::json!({ "allow": token.allow });
        self.change(&mut state, by, "token.revoke", name, detail, |tokens| {
            tokens.remove(name);
        })
    }

    /// Gives a token another secret; the one before is taken for `overlap` longer, so that devices can be changed one
    /// by one. At most two are valid: one that is still overlapping from an earlier rotation ends now.
    ///
    /// # Errors
    /// There is none of that name, `by` may not, or the change cannot be audited or saved.
    pub fn rotate(&self, by: &Identity, name: &str, overlap: Duration) -> Result<Secret, Error> {
        let mut state = self.lock();
        let checked = self.known(&state, by, name);
        let token = self.refused(by, "token.rotate", name, checked)?;
        let now = self.clock.wall();
        let until = now.saturating_add(i64::try_from(overlap.as_nanos()).unwrap_or(i64::MAX));
        let secret = generate(self.entropy.as_ref());
        let mut token = Token::clone(&token);
        let before = token.secrets.pop().map(|secret| SecretHash { until_ns: Some(until), ..secret });
        token.secrets = before.into_iter().filter(|_| !overlap.is_zero()).collect();
        token.secrets.push(SecretHash {
            sha256: TokenHash::of(secret.reveal()),
            created_ns: now,
            until_ns: None,
        });
        let detail = serde_json::json!({ "overlap_until_ns": until });
        self.change(&mut state, by, "token.rotate", name, detail, |tokens| {
            tokens.insert(name.into(), Arc::new(token));
        })?;
        Ok(secret)
    }

    fn check_new(
        &self,
        state: &State,
        by: &Identity,
        name: &str,
        allow: &[Right],
        expires_ns: Option<i64>,
    ) -> Result<(), Error> {
        if !is_name(name) {
            return Err(Error::Name(shown(name)));
        }
        if allow.is_empty() {
            return Err(Error::NoRights(name.to_owned()));
        }
        if allow.len() > RIGHTS_MAX {
            return Err(Error::TooMany { what: "rights of one token", max: RIGHTS_MAX });
        }
        if let Some(right) = allow.iter().find(|right| right.is_reserved()) {
            return Err(Error::Reserved(right.clone()));
        }
        if expires_ns.is_some_and(|expires| expires <= self.clock.wall()) {
            return Err(Error::Expired(name.to_owned()));
        }
        // First whether they may: who may not is not told which names there are.
        self.may_manage(by, allow)?;
        if state.tokens.contains_key(name) {
            return Err(Error::Exists(name.to_owned()));
        }
        let max = state.settings.limits.tokens_max;
        if state.tokens.len() >= max {
            return Err(Error::TooMany { what: "tokens", max });
        }
        Ok(())
    }

    fn known(&self, state: &State, by: &Identity, name: &str) -> Result<Arc<Token>, Error> {
        if !matches!(by.kind, IdentityKind::Owner | IdentityKind::Token) {
            return Err(Error::NotAllowed(by.name.to_string()));
        }
        let token = state.tokens.get(name).cloned().ok_or_else(|| Error::NoToken(shown(name)))?;
        // Who may not manage it is not told that it is there.
        self.may_manage(by, &token.allow).map_err(|_| Error::NoToken(shown(name)))?;
        Ok(token)
    }

    /// Whether someone may give or end these rights: the owner any; a token those that it has itself, on paths that it
    /// may administer.
    fn may_manage(&self, by: &Identity, rights: &[Right]) -> Result<(), Error> {
        match by.kind {
            IdentityKind::Owner => return Ok(()),
            IdentityKind::Token => {}
            IdentityKind::Zone | IdentityKind::House => return Err(Error::NotAllowed(by.name.to_string())),
        }
        let policy = self.policy.load();
        let now = self.clock.wall();
        let holder =
            policy.holders.get(&by.name).filter(|holder| holder.kind == by.kind && !holder.expired(now));
        let Some(holder) = holder else { return Err(Error::NotAllowed(by.name.to_string())) };
        let within = |right: &Right| {
            holder.grants.allows_all(right.verb, &right.pattern)
                && holder.grants.allows_all(Verb::Administer, &right.pattern)
        };
        match rights.iter().find(|right| !within(right)) {
            Some(right) => Err(Error::Beyond { who: by.name.to_string(), right: Box::new(right.clone()) }),
            None => Ok(()),
        }
    }

    /// Audits a check that failed, and hands its outcome on.
    fn refused<T>(
        &self,
        by: &Identity,
        action: &'static str,
        name: &str,
        checked: Result<T, Error>,
    ) -> Result<T, Error> {
        if let Err(error @ (Error::Beyond { .. } | Error::NotAllowed(_))) = &checked
            && self.refusals.note(by, action).write
        {
            let detail = serde_json::json!({ "why": error.to_string() });
            if let Err(error) = self.log.append(entry(by, action, name, AuditResult::Refused, &detail)) {
                tracing::warn!(event = "audit.refusal_lost", %error, action, "a refusal was not written to the audit");
            }
        }
        checked
    }

    /// Makes a change: audit what is intended, save, put in force, audit how it ended.
    fn change(
        &self,
        state: &mut State,
        by: &Identity,
        action: &'static str,
        name: &str,
        detail: serde_json::Value,
        change: impl FnOnce(&mut Tokens),
    ) -> Result<(), Error> {
        self.record(entry(by, action, name, AuditResult::Intended, &detail))?;
        let mut tokens = self.with_uses(&state.tokens);
        change(&mut tokens);
        if let Err(error) = store::save(self.disk.as_ref(), &self.tokens_path, &tokens) {
            let detail = serde_json::json!({ "why": error.to_string() });
            self.record_after(entry(by, action, name, AuditResult::Failed, &detail));
            return Err(error);
        }
        state.tokens = tokens;
        self.install(state);
        self.record_after(entry(by, action, name, AuditResult::Done, &detail));
        Ok(())
    }
}

fn entry(
    by: &Identity,
    action: &'static str,
    name: &str,
    result: AuditResult,
    detail: &serde_json::Value,
) -> AuditEntry {
    AuditEntry {
        who: by.clone(),
        action,
        target: format!("token:{}", shown(name)),
        result,
        detail: detail.to_string(),
    }
}

fn info(token: &Token, now: i64) -> TokenInfo {
    let (secret, before) = match token.secrets.as_slice() {
        [before, secret, ..] => (Some(secret), Some(before)),
        [secret] => (Some(secret), None),
        [] => (None, None),
    };
    TokenInfo {
        name: token.name.clone(),
        allow: token.allow.clone(),
        created_ns: token.created_ns,
        created_by: token.created_by.clone(),
        secret_created_ns: secret.map_or(token.created_ns, |secret| secret.created_ns),
        expires_ns: token.expires_ns,
        expired: token.expired(now),
        last_used_ns: token.last_used_ns,
        last_address: token.last_address,
        overlap_until_ns: before.and_then(|before| before.until_ns).filter(|until| now < *until),
    }
}
