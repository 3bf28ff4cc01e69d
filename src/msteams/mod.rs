//! Microsoft Teams: tokens, Graph and the Bot connector.
