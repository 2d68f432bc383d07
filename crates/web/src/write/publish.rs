//! Publishing the parts of one request in order, and knowing a repeated request by its key.

use axum::http::HeaderMap;
use sha2::{Digest, Sha256};
use tidemill_core::{Bus, Commit, Durability, Identity, Problem, ProducerId, Publish, codes};

/// The longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 255;

/// How often a later part of a request that has begun is offered again while the log is busy.
const BUSY_TRIED_MAX: u32 = 100;

/// A request that is kept once however often it comes: the same identity, key and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Once(ProducerId);

impl Once {
    /// The body counts too: a key that is used again with another body must not make that one vanish.
    pub(crate) fn of(headers: &HeaderMap, who: &Identity, body: &[u8]) -> Result<Option<Once>, Problem> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            let detail = format!("Idempotency-Key has {} bytes: send 1 to {KEY_BYTES_MAX}", key.len());
            return Err(Problem::new(&codes::BAD_PARAMETER, detail));
        }
        let mut hash = Sha256::new();
        for part in [who.name.as_bytes(), key.as_bytes(), body] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Ok(Some(Once(ProducerId(u64::from_le_bytes(first)))))
    }
}

/// Publishes parts after those for which there is a commit already. On an error the commits so far stay in `commits`, so
/// that a caller who bound the request again goes on where it stopped.
pub(crate) async fn publish(
    bus: &dyn Bus,
    who: &Identity,
    epoch: u64,
    parts: Vec<Publish>,
    once: Option<Once>,
    commits: &mut Vec<Commit>,
) -> Result<(), Problem> {
    for mut part in parts {
        part.once = once.map(|Once(producer)| (producer, commits.len() as u64 + 1));
        let commit = if commits.is_empty() {
            bus.publish(who, epoch, part, Durability::Commit)?
        } else {
            publish_later(bus, who, epoch, part, commits).await?
        };
        commits.push(commit);
    }
    Ok(())
}

/// A part of a request of which something is published already: waits while the log is busy, because giving up here
/// would leave half a request behind.
async fn publish_later(
    bus: &dyn Bus,
    who: &Identity,
    epoch: u64,
    part: Publish,
    commits: &mut [Commit],
) -> Result<Commit, Problem> {
    for _ in 0..BUSY_TRIED_MAX {
        match bus.publish(who, epoch, part.clone(), Durability::Commit) {
            Err(problem) if is_busy(&problem) => {
                // What was published before must become durable, which makes room.
                match commits.last_mut() {
                    Some(commit) => drop(commit.await?),
                    None => return Err(problem),
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
    let detail = "the log stayed busy in the middle of the request; what came before may have been kept";
    Err(Problem::new(&codes::NOT_DURABLE, detail).retry_after(1))
}

fn is_busy(problem: &Problem) -> bool {
    problem.code == &codes::BUSY || problem.code == &codes::SHARE_EXCEEDED
}
