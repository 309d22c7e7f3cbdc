//! Asks every worker thread something and gathers the answers.

use crate::control::Control;
use crate::thread::Thread;
use crate::worker::Worker;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a worker may take to answer; without it the others' answers stand.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `question` gives on each worker thread under the configuration in force, in the order of the threads.
pub async fn ask<T: Send + 'static>(
    control: &Control,
    question: impl Fn(&Rc<Worker>) -> T + Clone + Send + 'static,
) -> Vec<T> {
    ask_threads(control, move |thread| thread.current().map(|worker| question(&worker)))
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// The same of all configurations that have connections: the current one of a thread first.
pub async fn ask_all<T: Send + 'static>(
    control: &Control,
    question: impl Fn(&Rc<Worker>) -> T + Clone + Send + 'static,
) -> Vec<T> {
    ask_threads(control, move |thread| thread.workers().iter().map(&question).collect::<Vec<T>>())
        .await
        .into_iter()
        .flatten()
        .collect()
}

/// What `question` gives on each worker thread.
pub async fn ask_threads<T: Send + 'static>(
    control: &Control,
    question: impl Fn(&Thread) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let mut pending = Vec::new();
    for orders in control.orders.iter() {
        let (sender, receiver) = oneshot::channel();
        let question = question.clone();
        let order = Box::new(move |thread: &Thread| {
            // The asker may have lost patience.
            let _ = sender.send(question(thread));
        });
        if orders.try_send(order).is_ok() {
            pending.push(receiver);
        }
    }
    let mut answers = Vec::new();
    for receiver in pending {
        if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, receiver).await {
            answers.push(answer);
        }
    }
    answers
}
