//! Token counts where no provider reported any: characters weighed by script, never a vocabulary.
//!
//! An estimate is within a quarter of a true count for usual text and must be stored as an estimate.

/// What a chat template adds around each message.
pub const TOKENS_PER_MESSAGE: u64 = 4;

/// About how many tokens a text is.
pub fn estimate_tokens(text: &str) -> u64 {
    let mut estimator = TokenEstimator::new();
    estimator.push(text);
    estimator.tokens()
}

/// About how many tokens a prompt of several messages is, with what the template adds to each.
pub fn estimate_prompt_tokens<'a>(messages: impl IntoIterator<Item = &'a str>) -> u64 {
    let message_tokens = |text| estimate_tokens(text).saturating_add(TOKENS_PER_MESSAGE);
    messages.into_iter().map(message_tokens).fold(0, u64::saturating_add)
}

/// Counts a text that comes in pieces. The result does not depend on how it is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenEstimator {
    /// Thousandths of tokens of Latin text, digits, punctuation and space.
    latin_millis: u64,
    /// Thousandths of tokens of all other scripts.
    other_millis: u64,
    /// What the last character was, and how many of its like came right before it, as [`steps_behind`] has it: vocabularies
    /// hold whole words, and runs of spaces, digits and punctuation.
    behind: usize,
    vocabulary: Vocabulary,
}

/// How fine a model cuts its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vocabulary {
    /// About four Latin characters to a token.
    Usual,
    /// About two and a half: Claude since 4.7.
    FineLatin,
}

impl Vocabulary {
    /// The vocabulary of a model, as far as its name tells: Claude since 4.7 cuts Latin text finer.
    pub fn of(model: &str) -> Vocabulary {
        match claude_version(model) {
            Some(version) if version >= (4, 7) => Vocabulary::FineLatin,
            _ => Vocabulary::Usual,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Accented,
    /// Latin of languages that have an accent in most words.
    ManyAccents,
    Space,
    Newline,
    Digit,
    Punctuation,
    Apostrophe,
    Alphabet,
    Abjad,
    Indic,
    Kana,
    Hangul,
    Han,
    WidePunctuation,
    Rare,
}

impl Default for TokenEstimator {
    fn default() -> Self {
        TokenEstimator::new()
    }
}

impl TokenEstimator {
    /// An estimator for a usual vocabulary.
    pub fn new() -> TokenEstimator {
        let vocabulary = Vocabulary::Usual;
        TokenEstimator { latin_millis: 0, other_millis: 0, behind: steps_behind(Class::Newline, 0).into(), vocabulary }
    }

    /// An estimator for this model's vocabulary.
    pub fn for_model(model: &str) -> TokenEstimator {
        TokenEstimator { vocabulary: Vocabulary::of(model), ..TokenEstimator::new() }
    }

    /// Adds the next piece.
    pub fn push(&mut self, piece: &str) {
        let mut rest = self.ascii(piece);
        while let Some(character) = rest.chars().next() {
            let class = class_of(character);
            let Step { next, millis } = STEPS[self.behind + class as usize];
            self.behind = usize::from(next);
            match class.is_latin() {
                true => self.latin_millis += u64::from(millis),
                false => self.other_millis += u64::from(millis),
            }
            rest = self.ascii(&rest[character.len_utf8()..]);
        }
    }

    /// Takes what is ASCII at the beginning; gives the rest.
    fn ascii<'a>(&mut self, text: &'a str) -> &'a str {
        let (mut len, mut behind, mut latin_millis) = (0, self.behind, self.latin_millis);
        for byte in text.bytes() {
            let Some(&class) = ASCII.get(usize::from(byte)) else { break };
            let Step { next, millis } = STEPS[behind + class as usize];
            behind = usize::from(next);
            latin_millis += u64::from(millis);
            len += 1;
        }
        (self.behind, self.latin_millis) = (behind, latin_millis);
        &text[len..]
    }

    /// The estimate so far, rounded up.
    pub fn tokens(&self) -> u64 {
        self.tokens_in(self.vocabulary)
    }

    /// The same in another vocabulary.
    pub fn tokens_in(&self, vocabulary: Vocabulary) -> u64 {
        let latin_millis = match vocabulary {
            Vocabulary::Usual => self.latin_millis,
            Vocabulary::FineLatin => self.latin_millis * 8 / 5,
        };
        (latin_millis + self.other_millis).div_ceil(1000)
    }
}

impl Class {
    const fn is_word(self) -> bool {
        matches!(self, Class::Lower | Class::Upper | Class::Accented | Class::ManyAccents)
    }

    const fn is_blank(self) -> bool {
        matches!(self, Class::Space | Class::Newline)
    }

    const fn is_punctuation(self) -> bool {
        matches!(self, Class::Punctuation | Class::Apostrophe)
    }

    /// Whether it is of Latin text, or what stands in every text.
    const fn is_latin(self) -> bool {
        (self as u8) < Class::Alphabet as u8
    }

    /// Whether both may be in one run.
    const fn is_like(self, other: Class) -> bool {
        self as u8 == other as u8
            || self.is_word() && other.is_word()
            || self.is_punctuation() && other.is_punctuation()
    }
}

/// What a character adds, and the steps that follow it.
#[derive(Clone, Copy)]
struct Step {
    next: u16,
    millis: u16,
}

/// The steps from every place in a text, in the order of the classes.
static STEPS: [Step; CLASSES.len() * RUNS * CLASSES.len()] = {
    let mut steps = [Step { next: 0, millis: 0 }; CLASSES.len() * RUNS * CLASSES.len()];
    let mut at = 0;
    while at < steps.len() {
        let (last, run) = (CLASSES[at / CLASSES.len() / RUNS], at / CLASSES.len() % RUNS);
        let class = CLASSES[at % CLASSES.len()];
        let run = if class.is_like(last) { run + 1 } else { 0 };
        steps[at] = Step { next: steps_behind(class, run), millis: weight(class, last, run) };
        at += 1;
    }
    steps
};

/// Where the steps begin from behind a character that came behind `run` others of its like. Runs that weigh the same are
/// one.
const fn steps_behind(class: Class, run: usize) -> u16 {
    let run = match class {
        Class::Digit => run % 3,
        _ if run < RUNS => run,
        _ => RUNS - 1,
    };
    ((class as usize * RUNS + run) * CLASSES.len()) as u16
}

/// Runs that are told apart.
const RUNS: usize = LAST_OF_USUAL + 2;

/// Letters behind that many others are of no usual word.
const LAST_OF_USUAL: usize = 13;

/// Thousandths of a token that a character adds, behind `run` others of its like. Set between the counts of o200k and
/// cl100k for prose in four languages, Markdown, Rust, Python and JSON: docs/estimates.md. Other scripts: between the
/// vocabularies we measured (o200k, cl100k, Llama 3 and 4, Tekken).
const fn weight(class: Class, last: Class, run: usize) -> u16 {
    match class {
        Class::Lower => letter_weight(last, run),
        Class::Upper if run > 0 && matches!(last, Class::Lower) => letter_weight(last, run) + 300,
        Class::Upper if run > 0 => letter_weight(last, run) + 240,
        Class::Upper => letter_weight(last, run),
        // What is not English is in more pieces, and mostly where an accent is.
        Class::Accented => letter_weight(last, run) + 1150,
        Class::ManyAccents => letter_weight(last, run) + 400,
        // Indentation is one token however deep; a single space mostly belongs to the word behind it.
        Class::Space => match run {
            0 if matches!(last, Class::Newline) => 0,
            0 => 170,
            1 => 300,
            _ => 20,
        },
        Class::Newline if run > 0 => 100,
        Class::Newline => 700,
        Class::Digit if run.is_multiple_of(3) => 1400,
        Class::Digit => 50,
        // `"},{"` is few tokens.
        Class::Punctuation | Class::Apostrophe if run > 0 => 200,
        Class::Apostrophe if last.is_word() => 300,
        Class::Punctuation | Class::Apostrophe if last.is_blank() => 1000,
        Class::Punctuation | Class::Apostrophe => 780,
        Class::Alphabet => 320,
        Class::Abjad => 420,
        Class::Indic => 400,
        Class::Kana => 620,
        Class::Hangul => 660,
        Class::Han | Class::WidePunctuation => 800,
        Class::Rare => 1500,
    }
}

/// A word costs mostly that it is one; what is longer than words are is cut into small pieces.
const fn letter_weight(last: Class, run: usize) -> u16 {
    match run {
        0 if last.is_blank() => 750,
        0 => 450,
        1..=3 => 10,
        4..=LAST_OF_USUAL => 100,
        _ => 300,
    }
}

/// The classes, by their numbers.
const CLASSES: [Class; 17] = [
    Class::Lower,
    Class::Upper,
    Class::Accented,
    Class::ManyAccents,
    Class::Space,
    Class::Newline,
    Class::Digit,
    Class::Punctuation,
    Class::Apostrophe,
    Class::Alphabet,
    Class::Abjad,
    Class::Indic,
    Class::Kana,
    Class::Hangul,
    Class::Han,
    Class::WidePunctuation,
    Class::Rare,
];

/// The classes of ASCII.
static ASCII: [Class; 128] = {
    let mut classes = [Class::Rare; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        classes[byte as usize] = class_of(byte as char);
        byte += 1;
    }
    classes
};

const fn class_of(character: char) -> Class {
    match character {
        'a'..='z' => Class::Lower,
        'A'..='Z' => Class::Upper,
        ' ' | '\t' | '\u{a0}' => Class::Space,
        '\n' | '\r' => Class::Newline,
        '0'..='9' => Class::Digit,
        '\'' | '\u{2019}' => Class::Apostrophe,
        '\0'..='\u{bf}' | '\u{d7}' | '\u{f7}' | '\u{2000}'..='\u{206f}' => Class::Punctuation,
        '\u{c0}'..='\u{2ff}' => Class::Accented,
        '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}' => Class::ManyAccents,
        '\u{370}'..='\u{58f}' | '\u{10a0}'..='\u{10ff}' => Class::Alphabet,
        '\u{590}'..='\u{8ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' => Class::Abjad,
        '\u{900}'..='\u{eff}' => Class::Indic,
        '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => Class::Kana,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => Class::Hangul,
        '\u{3000}'..='\u{303f}' | '\u{ff01}'..='\u{ff65}' => Class::WidePunctuation,
        '\u{2e80}'..='\u{2fdf}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' => Class::Han,
        '\u{20000}'..='\u{3ffff}' => Class::Han,
        _ => Class::Rare,
    }
}

/// The two leading numbers of a Claude model's name; `None` for other models. A date is no version.
fn claude_version(model: &str) -> Option<(u32, u32)> {
    let name = &model[memchr::memmem::find(model.as_bytes(), b"claude-")?..];
    let mut numbers = name.split(['-', '.', '@']).filter_map(|part| part.parse::<u32>().ok()).filter(|n| *n < 100);
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fails when the estimate is not within a quarter of the count.
    #[track_caller]
    fn near(text: &str, tokens: u64) {
        let estimate = estimate_tokens(text);
        assert!(estimate * 4 >= tokens * 3 && estimate * 4 <= tokens * 5, "{estimate} for {tokens}: {text}");
    }

    /// One parallel sentence with the counts a vendor published for o200k.
    #[test]
    fn one_sentence_in_twelve_languages() {
        near("Hello, my name is GPT-4o. I'm a new type of language model, it's nice to meet you!", 24);
        near("Hola, me llamo GPT-4o. Soy un nuevo tipo de modelo de lenguaje, ¡es un placer conocerte!", 26);
        near("Olá, meu nome é GPT-4o. Sou um novo tipo de modelo de linguagem, é um prazer conhecê-lo!", 27);
        near(
            "Bonjour, je m'appelle GPT-4o. Je suis un nouveau type de modèle de langage, c'est un plaisir de vous \
             rencontrer!",
            28,
        );
        near("Hallo, mein Name ist GPT-4o. Ich bin ein neues KI-Sprachmodell. Es ist schön, dich kennenzulernen.", 29);
        near("Ciao, mi chiamo GPT-4o. Sono un nuovo tipo di modello linguistico, piacere di conoscerti!", 28);
        near("Привет, меня зовут GPT-4o. Я — новая языковая модель, приятно познакомиться!", 23);
        near("مرحبًا، اسمي جي بي تي-4o. أنا نوع جديد من نموذج اللغة، سررت بلقائك!", 26);
        near("नमस्ते, मेरा नाम जीपीटी-4o है। मैं एक नए प्रकार का भाषा मॉडल हूँ। आपसे मिलकर अच्छा लगा!", 31);
        near("你好，我的名字是GPT-4o。我是一种新型的语言模型，很高兴见到你!", 24);
        near("こんにちは、私の名前はGPT-4oです。私は新しいタイプの言語モデルです。初めまして!", 26);
        near("안녕하세요, 제 이름은 GPT-4o입니다. 저는 새로운 유형의 언어 모델입니다, 만나서 반갑습니다!", 27);
    }

    /// Characters per token as we measured them (o200k), in tenths, on text of our own.
    #[test]
    fn prose_and_code_have_the_measured_density() {
        let near_density = |text: &str, hundredths: u64| near(text, text.chars().count() as u64 * 100 / hundredths);
        near_density(
            "The report for last week is ready. Most of the requests came from the support team, and the average \
             answer took less than three seconds, which is better than we expected when we started this work.",
            440,
        );
        near_density("fn total(items: &[Item]) -> u64 {\n    items.iter().map(|item| item.count).sum()\n}\n", 377);
        near_density("def total(items):\n    return sum(item.count for item in items if item.visible)\n", 463);
        near_density(r#"{"name":"example","count":12,"items":["first","second"],"active":true}"#, 366);
        let indented =
            "{\n  \"name\": \"example\",\n  \"count\": 12,\n  \"items\": [\n    \"first\",\n    \"second\"\n  ]\n}";
        near(indented, 31);
        near_density(
            "上周的报告已经准备好了。大部分请求来自支持团队，平均回答时间不到三秒，比我们开始时预期的要好。",
            137,
        );
        near_density(
            "先週の報告書ができました。ほとんどのリクエストはサポートチームからのもので、平均回答時間は三秒未満でした。",
            143,
        );
        near_density(
            "지난주 보고서가 준비되었습니다. 대부분의 요청은 지원 팀에서 왔고 평균 응답 시간은 삼 초 미만이었습니다.",
            177,
        );
    }

    #[test]
    fn nothing_is_nothing_and_a_message_has_its_frame() {
        assert_eq!((estimate_tokens(""), estimate_tokens("a")), (0, 1));
        assert_eq!(estimate_prompt_tokens([]), 0);
        assert_eq!(estimate_prompt_tokens(["", "a"]), 2 * TOKENS_PER_MESSAGE + 1);
    }

    #[test]
    fn newer_claude_models_cut_latin_text_finer_and_only_that() {
        let tokens = |model: &str, text: &str| {
            let mut estimator = TokenEstimator::for_model(model);
            estimator.push(text);
            estimator.tokens()
        };
        let text = "the same text for every model ".repeat(50);
        let usual = tokens("gpt-4o", &text);
        for model in ["claude-3-5-sonnet-20241022", "claude-opus-4-20250514", "claude-opus-4-6", "claude-sonnet-4-5"] {
            assert_eq!(tokens(model, &text), usual, "{model}");
        }
        for model in ["claude-opus-4-7", "anthropic/claude-opus-4-8", "claude-fable-5-1", "claude-haiku-5-5"] {
            assert_eq!(tokens(model, &text), (usual * 8).div_ceil(5), "{model}");
        }
        assert_eq!(tokens("claude-opus-5", "语言模型"), tokens("gpt-4o", "语言模型"));
    }

    /// Each character weighed by itself, and every run counted to its end.
    fn one_by_one(text: &str) -> u64 {
        let (mut millis, mut last, mut run) = (0, Class::Newline, 0);
        for character in text.chars() {
            let class = class_of(character);
            run = if class.is_like(last) { run + 1 } else { 0 };
            millis += u64::from(weight(class, last, run));
            last = class;
        }
        millis
    }

    #[track_caller]
    fn weighs_as_one_by_one(text: &str) {
        let mut estimator = TokenEstimator::new();
        estimator.push(text);
        assert_eq!(estimator.latin_millis + estimator.other_millis, one_by_one(text), "{text}");
    }

    #[test]
    fn the_classes_stand_by_their_numbers() {
        assert!(CLASSES.iter().enumerate().all(|(number, class)| *class as usize == number));
    }

    #[test]
    fn runs_of_any_length_weigh_what_their_characters_do() {
        for length in 0..100 {
            for like in ["a", "A", "é", "ế", " ", "\n", "1", ".", "'", "ж", "语"] {
                for before in ["", " ", "A", "é", "1", "--"] {
                    weighs_as_one_by_one(&format!("{before}{}.", like.repeat(length)));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_weighs_what_its_characters_do(text in "\\PC{0,80}|[a-zA-Zéü0-9 \n{}\",:']{0,200}|[a-dé ]{0,80}|[a-c]{0,60}") {
            weighs_as_one_by_one(&text);
        }

        #[test]
        fn cutting_changes_nothing(text in "\\PC{0,80}|[a-z0-9 \n{}\",:]{0,120}", cuts in prop::collection::vec(0usize..400, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| text.floor_char_boundary(cut.min(text.len()))).collect();
            cuts.sort_unstable();
            let mut estimator = TokenEstimator::new();
            let mut from = 0;
            for cut in cuts {
                estimator.push(&text[from..cut]);
                from = cut;
            }
            estimator.push(&text[from..]);
            prop_assert_eq!(estimator.tokens(), estimate_tokens(&text));
        }
    }
}
