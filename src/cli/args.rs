//! The command line.

use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::report::report;
use crate::cli::{configure, environment, explain, manual, output, rules, start, uninstall, validate, version};
use crate::telemetry;

/// Posts Teleport Access Requests to Microsoft Teams and keeps every card up to date.
#[derive(Debug, Parser)]
#[command(
    name = "teleport-msteams",
    version = version::facts(),
    after_help = "\
Examples:
  teleport-msteams configure assets --appID ID --tenantID ID
      writes the configuration and the Teams app package
  teleport-msteams validate --all
      checks the whole setup without sending a message
  teleport-msteams start
      runs the daemon with /etc/teleport-msteams.toml

Exit status: 0 success, 1 failure, 2 wrong usage, 78 invalid configuration."
)]
struct Arguments {
    #[arg(short, long, global = true, help = "Enable debug logging (fine-tune with RUST_LOG)")]
    debug: bool,
    /// The default; accepted because the Go plugin accepts it
    #[arg(long, global = true, hide = true, overrides_with = "debug")]
    no_debug: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Generate the configuration and the Teams app package
    Configure(configure::Options),
    /// Send a test message, or check the whole setup
    Validate(validate::Options),
    /// Run the daemon: watch Access Requests and notify reviewers in Microsoft Teams
    Start(start::Options),
    /// Remove the Teams app from every user in the configuration
    Uninstall(uninstall::Options),
    /// Check Access Monitoring Rules, and show who they would notify
    Rules(rules::Options),
    /// Show who is notified of an Access Request and why, and what happens next
    Explain(explain::Options),
    /// Print the version of this program
    Version,
    /// Generate a shell completion script
    Completions(manual::Completions),
    /// Generate the man page
    Man(manual::Man),
}

/// Runs the program. Returns the exit status: 0 for success, 1 for a failure, 2 for wrong usage, 78 for an invalid
/// configuration.
pub fn run() -> ExitCode {
    let Arguments { debug, command, .. } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return output::finish(print(&error)),
    };
    let done = match command {
        Command::Configure(options) => options.run(),
        Command::Validate(options) => options.run(),
        Command::Start(options) => options.run(debug),
        Command::Uninstall(options) => options.run(),
        Command::Rules(options) => options.run(),
        Command::Explain(options) => options.run(),
        Command::Version => {
            version::run();
            Ok(())
        }
        Command::Completions(options) => {
            options.run(Arguments::command());
            Ok(())
        }
        Command::Man(options) => options.run(Arguments::command()),
    };
    let status = match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Write the log lines that led to the error before it.
            telemetry::flush();
            report(&error)
        }
    };
    telemetry::flush();
    output::finish(status)
}

/// Prints the help, the version, or a usage error in the form of all other errors.
fn print(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let text = error.render();
        let text = if stderr().is_terminal() && environment::wants_colours() {
            text.ansi().to_string()
        } else {
            text.to_string()
        };
        let text = text.replacen("error:", "ERROR:", 1).replace("tip:", "hint:");
        output::raw_complaint(text.trim_end());
    } else {
        output::remember(error.print());
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    /// Scripts for the Go plugin: its parser accepts flags before and after arguments, and values in three forms.
    #[test]
    fn command_lines_of_scripts_are_accepted() {
        for line in [
            "version",
            "help",
            "help validate",
            "configure assets --appID 11111111-1111-4111-8111-111111111111 --tenantID \
             22222222-2222-4222-8222-222222222222 --appSecret=secret",
            "configure --appID=11111111-1111-4111-8111-111111111111 --appSecret secret \
             --tenantID=22222222-2222-4222-8222-222222222222 assets",
            "configure --appID=11111111-1111-4111-8111-111111111111 --managedIdentity true \
             --tenantID=22222222-2222-4222-8222-222222222222 assets",
            "validate --config=/etc/x.toml alice@example.com",
            "validate alice@example.com -c /etc/x.toml",
            "validate -c/etc/x.toml alice@example.com",
            "validate --all --no-message",
            "validate --all --no-message --offline --json",
            "uninstall -c /etc/x.toml",
            "uninstall --config /etc/x.toml --dry-run",
            "start",
            "start -d --config=/etc/x.toml",
            "start --config /etc/x.toml --debug",
            "start --no-debug",
            "rules check a.yaml b.yaml",
            "rules test a.yaml --request request.json --json",
            "explain 1234 -c /etc/x.toml",
            "completions bash",
            "man --dir here",
        ] {
            let words = ["teleport-msteams"].into_iter().chain(line.split_whitespace());
            let kind = Arguments::try_parse_from(words).err().map(|error| error.kind());
            assert!(matches!(kind, None | Some(ErrorKind::DisplayHelp)), "{line}: {kind:?}");
        }
    }
}
