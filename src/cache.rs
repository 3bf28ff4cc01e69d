//! A bounded cache of answers that expire. Concurrent questions about one key cause one look-up.
//!
//! Architecture Invariant: knows nothing of the program. A failed look-up is not remembered.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Answers by key.
pub struct Cache<K, V> {
    entries: Mutex<HashMap<K, Arc<Entry<V>>>>,
    most: usize,
    life: Box<dyn Fn(&V) -> Duration + Send + Sync>,
}

/// Filled by the first look-up; others wait for it.
type Entry<V> = OnceCell<Answer<V>>;

#[derive(Clone, Debug)]
struct Answer<V> {
    value: V,
    until: Instant,
}

impl<K: Clone + Eq + Hash, V: Clone> Cache<K, V> {
    /// Creates a cache of at most `most` answers; those beyond it are looked up each time. `life` is how long an answer is
    /// remembered.
    pub fn new(most: usize, life: impl Fn(&V) -> Duration + Send + Sync + 'static) -> Self {
        Self {
            entries: Mutex::default(),
            most,
            life: Box::new(life),
        }
    }

    /// Returns the remembered answer, or looks it up.
    ///
    /// # Errors
    /// The look-up failed.
    pub async fn get<E, F>(&self, key: &K, look_up: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        let entry = self.entry(key);
        let look_up = || async {
            let value = look_up().await?;
            let until = Instant::now() + (self.life)(&value);
            Ok(Answer { value, until })
        };
        entry.get_or_try_init(look_up).await.map(|answer| answer.value.clone())
    }

    /// Forgets an answer.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    fn entry(&self, key: &K) -> Arc<Entry<V>> {
        let now = Instant::now();
        let mut entries = self.lock();
        if let Some(entry) = entries.get(key)
            && entry.get().is_none_or(|answer| now < answer.until)
        {
            return Arc::clone(entry);
        }
        entries.remove(key);
        if entries.len() >= self.most {
            // A look-up that is neither answered nor under way has failed.
            entries.retain(|_, entry| match entry.get() {
                Some(answer) => now < answer.until,
                None => Arc::strong_count(entry) > 1,
            });
        }
        let entry = Arc::default();
        if entries.len() < self.most {
            entries.insert(key.clone(), Arc::clone(&entry));
        }
        entry
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Entry<V>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_looked_up_once_until_it_expires() {
        let (cache, asked) = (Cache::new(2, |_| LIFE), Cell::new(0));
        let look_up = async || {
            asked.set(asked.get() + 1);
            sleep(Duration::from_secs(1)).await;
            Ok::<_, ()>(asked.get())
        };
        let together = join_all((0..5).map(|_| cache.get(&"a", &look_up))).await;
        assert_eq!(together, [Ok(1); 5]);
        sleep(LIFE / 2).await;
        assert_eq!(cache.get(&"a", &look_up).await, Ok(1));
        sleep(LIFE / 2).await;
        assert_eq!(cache.get(&"a", &look_up).await, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_not_remembered_and_the_size_is_bounded() {
        let cache = Cache::new(2, |()| LIFE);
        for key in 0..10 {
            assert_eq!(cache.get(&key, async || Err::<(), _>("down")).await, Err("down"));
        }
        for key in 0..10 {
            assert_eq!(cache.get(&key, async || Ok::<_, ()>(())).await, Ok(()));
            assert!(cache.lock().len() <= 2);
        }
        assert_eq!(cache.get(&1, async || Err("asked again")).await, Ok(()));
        assert_eq!(cache.get(&9, async || Err("asked again")).await, Err("asked again"));
        sleep(LIFE).await;
        assert_eq!(cache.get(&9, async || Ok::<_, ()>(())).await, Ok(()));
        assert_eq!(cache.get(&9, async || Err("asked again")).await, Ok(()));
    }
}
