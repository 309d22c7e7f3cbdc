//! Asks every worker thread something and gathers the answers.

use crate::control::Control;
use crate::worker::Worker;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a worker may take to answer; without it the others' answers stand.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `question` gives on each worker, in the order of the workers.
pub async fn ask<T: Send + 'static>(
    control: &Control,
    question: impl Fn(&Rc<Worker>) -> T + Clone + Send + 'static,
) -> Vec<T> {
    let mut pending = Vec::new();
    for orders in control.orders.iter() {
        let (sender, receiver) = oneshot::channel();
        let question = question.clone();
        let order = Box::new(move |worker: &Rc<Worker>| {
            // The asker may have lost patience.
            let _ = sender.send(question(worker));
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
