//! `… ssl crt-list`.

use super::Answer;
use crate::crt_list;
use crate::registry::Tls;
use std::fmt::Write;

impl Tls {
    /// `show ssl crt-list`.
    pub fn show_lists(&self) -> String {
        self.files.lock().lists.keys().fold(String::new(), |mut out, name| {
            let _ = writeln!(out, "{name}");
            out
        })
    }

    /// `show ssl crt-list NAME`; `numbered` adds the numbers that lines are deleted by.
    pub fn show_list(&self, name: &str, numbered: bool) -> Answer {
        let files = self.files.lock();
        let lines = files.lists.get(name).ok_or("didn't find the specified filename\n")?;
        let mut out = format!("# {name}\n");
        for line in lines {
            out.push_str(&line.certificate);
            if numbered {
                let _ = write!(out, ":{}", line.number);
            }
            if !line.written.is_empty() {
                let _ = write!(out, " [{}]", line.written);
            }
            for filter in &line.filters {
                let _ = write!(out, " {}{}", if filter.negated { "!" } else { "" }, filter.name);
            }
            out.push('\n');
        }
        Ok(out)
    }

    /// `add ssl crt-list NAME`: a line.
    pub fn add_line(&self, name: &str, text: &str) -> Answer {
        let refused = |why: String| Err(format!("Can't edit the crt-list: {why}\n"));
        let mut files = self.files.lock();
        if !files.lists.contains_key(name) {
            return refused(format!("crt-list '{name}' does not exist!"));
        }
        let mut line = match crt_list::parse_line(text) {
            Ok(Some(line)) => line,
            Ok(None) => return refused("no certificate in the line!".to_owned()),
            Err(why) => return refused(format!("{why}!")),
        };
        let certificate = line.certificate.clone();
        if files.empty.contains(&certificate) {
            return refused(format!("certificate '{certificate}' is empty!"));
        }
        if !files.certificates.contains_key(&certificate) {
            return refused(format!("certificate '{certificate}' does not exist!"));
        }
        let list = files.lists.get_mut(name).expect("looked up above");
        line.number = list.iter().map(|line| line.number).max().unwrap_or(0) + 1;
        list.push(line);
        if let Err(why) = self.rebuild(&mut files, |listener, _| listener.uses_list(name)) {
            files.lists.get_mut(name).expect("looked up above").pop();
            return refused(why);
        }
        Ok(format!("Inserting certificate '{certificate}' in crt-list '{name}'.\nSuccess!\n"))
    }

    /// `del ssl crt-list NAME CERTIFICATE[:LINE]`.
    pub fn delete_line(&self, name: &str, which: &str) -> Answer {
        let refused = |why: String| Err(format!("Can't delete the entry: {why}\n"));
        let mut files = self.files.lock();
        if !files.lists.contains_key(name) {
            return refused(format!("crt-list '{name}' does not exist!"));
        }
        let (certificate, number) = match which.rsplit_once(':') {
            Some((certificate, number)) if number.parse::<usize>().is_ok() => {
                (certificate, number.parse::<usize>().ok())
            }
            _ => (which, None),
        };
        if !files.certificates.contains_key(certificate) {
            return refused(format!("certificate '{certificate}' does not exist!"));
        }
        let lines = files.lists.get(name).expect("looked up above");
        let matches: Vec<usize> = (0..lines.len())
            .filter(|index| {
                lines[*index].certificate == certificate
                    && number.is_none_or(|number| lines[*index].number == number)
            })
            .collect();
        let index = match matches[..] {
            [] => return refused(format!("certificate '{certificate}' is not in crt-list '{name}'!")),
            [index] => index,
            _ => {
                let numbers: Vec<String> =
                    matches.iter().map(|index| lines[*index].number.to_string()).collect();
                return refused(format!(
                    "found the certificate '{certificate}' in several entries, please specify a line number preceded by colons ({})!",
                    numbers.join(", ")
                ));
            }
        };
        if index == 0 {
            return refused(format!(
                "certificate '{certificate}' cannot be deleted, it is used as default certificate by the following frontends:\n"
            ));
        }
        let removed = files.lists.get_mut(name).expect("looked up above").remove(index);
        if let Err(why) = self.rebuild(&mut files, |listener, _| listener.uses_list(name)) {
            files.lists.get_mut(name).expect("looked up above").insert(index, removed);
            return refused(why);
        }
        Ok(format!("Entry '{certificate}' deleted in crtlist '{name}'!\n"))
    }
}
