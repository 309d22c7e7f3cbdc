//! Tasks that run the transactions of HTTP/2 streams, one after the other. A stream comes and goes with each request;
//! a task, its memory and its timer are too dear for that, so they are kept by the thread and used again.

use super::client::Client;
use super::http1::{arrived, run};
use super::http2::Session;
use super::transaction::Transaction;
use crate::net::Deadline;
use crate::profile;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// Runners that a thread keeps while they have nothing to do; each holds the memory of one transaction's state.
const IDLE_MAX: usize = 128;

thread_local! {
    static IDLE: RefCell<Vec<Rc<Runner>>> = const { RefCell::new(Vec::new()) };
}

/// A request to run.
pub struct Job {
    pub session: Rc<Session>,
    pub client: Box<Client>,
    pub transaction: Box<Transaction>,
}

/// Where a task finds its next job.
#[derive(Default)]
struct Runner {
    job: RefCell<Option<Job>>,
    waker: RefCell<Option<Waker>>,
}

/// Runs `job` on a task of this thread.
pub fn start(job: Job) {
    match IDLE.with(|idle| idle.borrow_mut().pop()) {
        Some(runner) => {
            *runner.job.borrow_mut() = Some(job);
            if let Some(waker) = runner.waker.borrow().as_ref() {
                waker.wake_by_ref();
            }
        }
        None => {
            let runner = Rc::new(Runner { job: RefCell::new(Some(job)), waker: RefCell::default() });
            let worker = Rc::clone(&runner.job.borrow().as_ref().expect("set above").client.worker);
            if worker.plan().model.uses.task_cost {
                let process = Arc::clone(&worker.shared.state.process);
                tokio::task::spawn_local(profile::counted(work(runner), move || process.profiles_tasks()));
            } else {
                tokio::task::spawn_local(work(runner));
            }
        }
    }
}

async fn work(runner: Rc<Runner>) {
    let mut deadline = Deadline::new();
    loop {
        let Job { session, mut client, mut transaction } = poll_fn(|context| {
            if let Some(job) = runner.job.borrow_mut().take() {
                return Poll::Ready(job);
            }
            let mut known = runner.waker.borrow_mut();
            if known.is_none() {
                *known = Some(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        deadline.control(Rc::clone(&client.control));
        std::mem::swap(&mut client.deadline, &mut deadline);
        arrived(&mut client, &mut transaction);
        session.note_counted(&client);
        run(&mut client, &mut transaction).await;
        Transaction::give(transaction);
        std::mem::swap(&mut client.deadline, &mut deadline);
        deadline.forget();
        session.ended(client);
        drop(session);
        let kept = IDLE.with(|idle| {
            let mut idle = idle.borrow_mut();
            let room = idle.len() < IDLE_MAX;
            if room {
                idle.push(Rc::clone(&runner));
            }
            room
        });
        if !kept {
            return;
        }
    }
}
