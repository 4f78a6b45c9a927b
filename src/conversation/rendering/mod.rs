//! Messages as text: each is the context of the template it names. The only place where the two meet.

use std::sync::Arc;

use super::driver::Renderer;
use super::message::Message;
use crate::templates::{Lang, Templates};

/// Renders messages with the texts that were loaded at start. Times show in the zone their offset says.
#[derive(Clone, Debug)]
pub struct TemplateRenderer {
    templates: Arc<Templates>,
}

impl TemplateRenderer {
    /// A renderer over loaded texts.
    pub fn new(templates: Arc<Templates>) -> TemplateRenderer {
        TemplateRenderer { templates }
    }
}

impl Renderer for TemplateRenderer {
    fn render(&self, lang: Lang, message: &Message) -> String {
        self.templates.render(lang, &message.template(), message)
    }
}

#[cfg(test)]
mod tests;
