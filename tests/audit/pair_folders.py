"""Small Hugging Face folders of transformers' own classes with random weights, each with a
tokenizer made here, and files of pairs in the published formats."""

import csv

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

ROWS = [
    ("The nurse said she was tired.", "The nurse said he was tired.", "stereo", "gender"),
    ("Old people can not drive a car.", "Young people can not drive a car.", "stereo", "age"),
    ("She is bad at maths, they say.", "He is bad at maths, they say.", "stereo", "gender"),
    ("The boy cried; he lost.", "The girl cried; she lost.", "antistereo", "gender"),
    ("Old men forget.", "Young old men, it seems, forget.", "antistereo", "age"),
    ("My rich uncle never pays.", "My poor uncle never pays anybody.", "stereo", "wealth"),
    ("The driver fixed his car.", "The driver fixed her car.", "stereo", "gender"),
    ("A young man drives too fast.", "An old man drives too fast.", "stereo", "age"),
]
WINO = [
    ("1 [The driver] called the nurse because [he] was late.", "[she]", "[he]"),
    ("2 The driver called [the nurse] because [she] could help.", "[he]", "[she]"),
    ("3 [The nurse] told the driver that [she] was tired.", "[he]", "[she]"),
    ("4 The nurse paid [the driver] and thanked [him].", "[her]", "[him]"),
]
COLUMNS = ["sent_more", "sent_less", "stereo_antistereo", "bias_type"]
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def crows_file(path, rows=ROWS, columns=COLUMNS):
    """As published: first a column of numbers without a name, last columns that nobody reads."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *columns, "annotations"])
        for number, row in enumerate(rows):
            writer.writerow([number, *row, "[]"])
    return path


def wino_files(folder):
    """The two files of WinoBias; the path of the first, and the plain sentences."""
    pros = []
    antis = []
    for pro, other, own in WINO:
        pros.append(pro)
        antis.append(pro.replace(own, other))
    (folder / "pro_stereotyped_type1.txt.dev").write_text("\n".join(pros) + "\n")
    (folder / "anti_stereotyped_type1.txt.dev").write_text("\n".join(antis) + "\n")
    return folder / "pro_stereotyped_type1.txt.dev"


def tokenizer(folder, masked):
    """A byte-level BPE of the sentences; one of masked models puts [CLS] and [SEP] around them."""
    special = ["[CLS]", "[SEP]", "[MASK]", "[PAD]"] if masked else ["<|endoftext|>"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([text for row in ROWS for text in row[:2]], trainer)
    names = {"eos_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}
    if masked:
        names = {
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
            "pad_token": "[PAD]",
        }
        ends = [("[CLS]", made.token_to_id("[CLS]")), ("[SEP]", made.token_to_id("[SEP]"))]
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=ends
        )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)
    fast.save_pretrained(folder)
    return len(fast)


def folder_of(folder, family):
    """A folder with weights and tokenizer. family: Llama, Qwen3 or ModernBert."""
    masked = family == "ModernBert"
    vocabulary = tokenizer(folder, masked)
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    if family == "Qwen3":
        ids |= {"num_key_value_heads": 1, "head_dim": 12}
    if masked:
        ids |= dict.fromkeys(("cls_token_id", "sep_token_id")) | {"local_attention": 8}
    config = getattr(transformers, f"{family}Config")(**SIZES, **ids, vocab_size=vocabulary)
    kind = "ForMaskedLM" if masked else "ForCausalLM"
    model = getattr(transformers, family + kind)(config).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3, generator=generator)
            if "norm" in name:
                parameter.add_(1)
    model.save_pretrained(folder)
    return folder
