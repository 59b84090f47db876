"""Is every test able to fail? Each mutant is one wrong line of minigpt, and some test must notice it.

    python tests/mutants.py            all of them
    python tests/mutants.py scale tie  those whose names contain one of the words

A copy of the package is changed, never the package itself. A mutant that survives, or whose line is no
longer in the source, makes the exit status 1.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 600  # seconds for one test file; what takes longer hangs


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str  # in minigpt/
    line: str  # a piece of the source, found exactly once
    wrong: str  # what replaces it
    test: str  # the test file that must fail


MUTANTS = [
    Mutant("no √d_k", "attention.py", " / math.sqrt(q.size(-1))", "", "test_attention.py"),
    Mutant("1/d_k for 1/√d_k", "attention.py", "math.sqrt(q.size(-1))", "q.size(-1)", "test_attention.py"),
    Mutant("√ of the values' width", "attention.py", "math.sqrt(q.size(-1))", "math.sqrt(v.size(-1))", "test_attention.py"),
    Mutant("softmax over the queries", "attention.py", "weights = scores.softmax(dim=-1)\n    else", "weights = scores.softmax(dim=-2)\n    else", "test_attention.py"),
    Mutant("a finite mask", "attention.py", "masked_fill(~mask, -math.inf)", "masked_fill(~mask, -1e4)", "test_attention.py"),
    Mutant("the mask turned round", "attention.py", "scores.masked_fill(~mask, -math.inf)", "scores.masked_fill(mask, -math.inf)", "test_attention.py"),
    Mutant("an empty row gives NaN", "attention.py", ".softmax(dim=-1).masked_fill(~mask, 0.0)", ".softmax(dim=-1)", "test_attention.py"),
    Mutant("causal mask off by one", "attention.py", "diagonal=S - T", "diagonal=S - T + 1", "test_attention.py"),
    Mutant("causal mask aligned top-left", "attention.py", "diagonal=S - T", "diagonal=0", "test_attention.py"),
    Mutant("keys and queries exchanged", "attention.py", "q, k, v = self.c_attn(x)", "k, q, v = self.c_attn(x)", "test_attention.py"),
    Mutant("keys of a context made by the queries' rows", "attention.py", "self._project(context, slice(C, None))", "self._project(context, slice(0, 2 * C))", "test_attention.py"),
    Mutant("heads joined without turning back", "attention.py", "y.transpose(1, 2).reshape(B, T, C)", "y.reshape(B, T, C)", "test_attention.py"),
    Mutant("a mask makes the causal flag forgotten", "attention.py", "mask & causal, False", "mask, False", "test_attention.py"),
    Mutant("the cache writes over itself", "attention.py", "self.k[:, :, start : self.length] = k", "self.k[:, :, : k.size(-2)] = k", "test_generate.py"),
    Mutant("recording stays on", "attention.py", "            layer.record = None", "            pass", "test_attention.py"),
    Mutant("exact GELU under GPT-2's weights", "model.py", 'approximate="tanh"', 'approximate="none"', "test_hf.py"),
    Mutant("no residual around attention", "model.py", "return x + part(norm(x), *args, **options)", "return part(norm(x), *args, **options)", "test_hf.py"),
    Mutant("post-norm for pre-norm", "model.py", "return x + part(norm(x), *args, **options)", "return norm(x + part(x, *args, **options))", "test_hf.py"),
    Mutant("positions start at 0 after a cache", "model.py", "torch.arange(start, end", "torch.arange(end - start", "test_generate.py"),
    Mutant("no final norm", "model.py", "        return self.ln_f(x)\n", "        return x\n", "test_hf.py"),
    Mutant("attention looks ahead", "model.py", "    causal = True  #", "    causal = False  #", "test_model.py"),
    Mutant("untied head", "model.py", "self.lm_head.weight = self.wte.weight", "pass", "test_model.py"),
    Mutant("no smaller start for c_proj", "model.py", "0.02 / math.sqrt(2 * config.n_layer)", "0.02", "test_model.py"),
    Mutant("norm's epsilon ignored", "model.py", "nn.LayerNorm(config.n_embd, eps=config.norm_eps", "nn.LayerNorm(config.n_embd, eps=1e-5", "test_hf.py"),
    Mutant("ignored targets counted in the mean", "objectives.py", "(targets != IGNORE).sum().clamp(min=1)", "targets.numel()", "test_model.py"),
    Mutant("biases and norms decay too", "optim.py", "if p.dim() < 2], \"weight_decay\": 0.0", "if p.dim() < 2], \"weight_decay\": weight_decay", "test_train.py"),
    Mutant("warmup starts at 0", "optim.py", "(step + 1) / config.warmup", "step / config.warmup", "test_train.py"),
    Mutant("wsd falls too late", "optim.py", "min(config.decay * config.steps, ", "min(config.steps, ", "test_train.py"),
    Mutant("wsd falls before it has risen", "optim.py", "min(config.decay * config.steps, config.steps - config.warmup)", "config.decay * config.steps", "test_train.py"),
    Mutant("speed counts looks and saves", "train.py", "            while state[\"step\"] < config.steps:\n                started = time.perf_counter()\n", "            started = time.perf_counter()\n            while state[\"step\"] < config.steps:\n", "test_train.py"),
    Mutant("finetune trains what it cannot", "commands/train.py", "if type(network) not in ((GPT, Encoder) if head else (GPT,)):", "if False:", "test_cli.py"),
    Mutant("accumulation without a mean", "train.py", "((batch[-1] != IGNORE).sum() / everywhere)", "group.size", "test_train.py"),
    Mutant("gradients never cleared", "train.py", "optimizer.zero_grad(set_to_none=True)", "pass", "test_train.py"),
    Mutant("sampler not restored", "resume.py", 'sampler.set_state(tensors["rng.sampler"])', "pass", "test_resume.py"),
    Mutant("dropout's dice not restored", "resume.py", 'torch.set_rng_state(tensors["rng.torch"])', "pass", "test_resume.py"),
    Mutant("AdamW's moments not restored", "resume.py", 'MOMENTS = ("step", "exp_avg", "exp_avg_sq")', 'MOMENTS = ("step",)', "test_resume.py"),
    Mutant("no run goes on whose parameter never had a gradient", "resume.py", 'if not any(f"{key}.{name}" in tensors for key in MOMENTS):', "if False:", "test_resume.py"),
    Mutant("half of a parameter's moments is enough", "resume.py", 'if not any(f"{key}.{name}" in tensors for key in MOMENTS):', 'if not all(f"{key}.{name}" in tensors for key in MOMENTS):', "test_resume.py"),
    Mutant("every process throws the first one's dice", "resume.py", "        if rank > 0:\n", "        if False:\n", "test_resume.py"),
    Mutant("a gradient of NaN is stepped along", "train.py", "if not math.isfinite(grad_norm):", "if False:", "test_train.py"),
    Mutant("evaluation weighs windows, not tokens", "evaluate.py", "n = int((batch[-1] != IGNORE).sum())", "n = 1", "test_train.py"),
    Mutant("bits per character for bits per byte", "evaluate.py", 'len(text.encode("utf-8"))', "len(text)", "test_train.py"),
    Mutant("probabilities divided by the temperature", "generate.py", "logits = (logits - logits.amax(-1, keepdim=True)) / temperature", "logits = (logits.softmax(-1) / temperature).log()", "test_generate.py"),
    Mutant("top-p drops the token that crosses", "generate.py", "(before >= top_p)", "(ordered.cumsum(-1) >= top_p)", "test_generate.py"),
    Mutant("top-p does not sum to 1", "generate.py", "probs = probs / probs.sum(-1, keepdim=True)", "pass", "test_generate.py"),
    Mutant("a full context keeps its first half", "generate.py", "window[-max(1, size // 2) :]", "window[: max(1, size // 2)]", "test_generate.py"),
    Mutant("bytes decoded one token at a time", "generate.py", "decoder.decode(tokenizer.decode_bytes([token]))", "tokenizer.decode([token])", "test_generate.py"),
    Mutant("square c_proj not transposed", "hf.py", '"attn.c_attn.weight", "attn.c_proj.weight", ', '"attn.c_attn.weight", ', "test_hf.py"),
    Mutant("`latest` moves before the save is complete", "checkpoint.py", "        os.replace(partial, folder)\n", "        os.replace(partial, folder.with_suffix(\".late\"))\n", "test_checkpoint.py"),
    Mutant("a step saved again is deleted first", "checkpoint.py", "            os.replace(folder, old)\n", "            shutil.rmtree(folder)\n", "test_checkpoint.py"),
    Mutant("a failed save leaves its pieces", "checkpoint.py", "    except (OSError, SafetensorError) as e:\n        shutil.rmtree(partial, ignore_errors=True)", "    except (OSError, SafetensorError) as e:\n        pass", "test_checkpoint.py"),
    # the other architectures and objectives
    Mutant("encoder with a causal mask", "model.py", "    causal = False\n", "    causal = True\n", "test_architectures.py"),
    Mutant("RoPE turns the wrong way for half of a pair", "attention.py", "torch.cat([-second, first], dim=-1)", "torch.cat([second, first], dim=-1)", "test_architectures.py"),
    Mutant("shared keys in the wrong order", "attention.py", "t.repeat_interleave(self.n_head // k.size(1), dim=1)", "t.repeat(1, self.n_head // k.size(1), 1, 1)", "test_architectures.py"),
    Mutant("gate and value exchanged in SwiGLU", "model.py", "F.silu(gate) * x", "gate * F.silu(x)", "test_architectures.py"),
    Mutant("the query stream sees its own token", "model.py", "rank[:, None, None, :] < rank[:, None, :, None]", "rank[:, None, None, :] <= rank[:, None, :, None]", "test_architectures.py"),
    Mutant("post-norm forgets the last norm", "model.py", "return norm(x + part(x, *args, **options))", "return norm(x) + part(x, *args, **options)", "test_architectures.py"),
    Mutant("padding counts as places", "model.py", "return (place - first)[:, start:end]", "return place[:, start:end]", "test_architectures.py"),
    Mutant("documents in a row see each other", "model.py", "mask = mask & (padding[:, None, -ids.size(1) :, None] == padding[:, None, None])", "mask = mask & True", "test_lora.py"),
    Mutant("LoRA changes the model at the start", "lora.py", "self.B = nn.Parameter(torch.zeros(", "self.B = nn.Parameter(torch.ones(", "test_lora.py"),
    Mutant("LoRA without alpha / rank", "lora.py", "self.scale = alpha / rank", "self.scale = 1.0", "test_lora.py"),
    Mutant("what is no number is decoded", "generate.py", "if not logits.amax(-1).isfinite().all():", "if False:", "test_decoding.py"),
    Mutant("decoders leave the model as they like it", "evaluate.py", "            model.train(was_training)", "            pass", "test_decoding.py"),
    Mutant("decoders decode with dropout", "evaluate.py", "        model.eval()\n", "", "test_decoding.py"),
    Mutant("beam search: no length penalty", "decoding.py", "texts[beam] + [token], score / length**length_penalty", "texts[beam] + [token], score", "test_decoding.py"),
    Mutant("beam search keeps the parents' caches", "decoding.py", "            own.reorder(parents)", "            pass", "test_decoding.py"),
    Mutant("repetition penalty divides every score", "generate.py", "torch.where(scores < 0, scores * penalty, scores / penalty)", "scores / penalty", "test_decoding.py"),
    Mutant("the stored context is read again", "attention.py", "cache is not None and cache.length > 0  #", "False  #", "test_architectures.py"),
    # several processes, masking, checkpoints of everything
    Mutant("a mean of means", "train.py", "((batch[-1] != IGNORE).sum() / everywhere)", "(1 / (len(batches) * group.size))", "test_distributed.py"),
    Mutant("gradients averaged where they should be added", "train.py", "(part * group.size).backward()", "part.backward()", "test_distributed.py"),
    Mutant("gradients travel at every part", "train.py", "group.size > 1 and i + 1 < len(batches)", "False", "test_distributed.py"),
    Mutant("every process reads the same rows", "device.py", "t[self.rank :: self.size]", "t[: len(t) // self.size]", "test_distributed.py"),
    Mutant("a part of the evaluation is left out", "evaluate.py", "group.rank, None, group.size", "0, None, group.size", "test_distributed.py"),
    Mutant("every process writes the log", "train.py", "folder = out if group.rank == 0 else None", "folder = out", "test_distributed.py"),
    Mutant("smoothing in the validation loss", "train.py", "val_loss_fn = val_loss_fn or loss_fn", "val_loss_fn = loss_fn", "test_cli.py"),
    Mutant("90 % masked", "masking.py", "kind < 0.8", "kind < 0.9", "test_masking.py"),
    Mutant("no random tokens", "masking.py", "torch.where(asked & (kind >= 0.9), other, inputs)", "inputs", "test_masking.py"),
    Mutant("special tokens hidden too", "masking.py", "asked = (chance < rate) & ~torch.isin(", "asked = (chance < rate) | torch.isin(", "test_masking.py"),
    Mutant("the first of each order are scored", "masking.py", "ids.masked_fill(rank < first, IGNORE)", "ids.masked_fill(rank >= T - first, IGNORE)", "test_masking.py"),
    Mutant("a checkpoint forgets the LoRA", "checkpoint.py", 'if hasattr(model, "lora"):\n        values["lora"] = model.lora', "if False:\n        pass", "test_checkpoint.py"),
    Mutant("a checkpoint forgets the head", "checkpoint.py", 'if isinstance(model, TaskHead):', "if False:", "test_checkpoint.py"),
    # shards, quantized weights
    Mutant("documents run together", "prepare.py", "tokenizer.encode(text) + end * ends", "tokenizer.encode(text)", "test_prepare.py"),
    Mutant("a text cut anywhere", "prepare.py", r'r"(?r)(?<=\S)(?=\s)|(?<=\p{L})(?=\P{L})"', r'r"(?r)(?<=.)(?=.)"', "test_prepare.py"),
    Mutant("a cut after a space", "prepare.py", r"(?<=\S)(?=\s)|", r"(?<=\s)(?=\S)|", "test_prepare.py"),
    Mutant("going on without cutting the file back", "prepare.py", "            file.truncate(2 * known[split])", "            pass", "test_prepare.py"),
    Mutant("the pieces done are done again", "prepare.py", 'islice(pieces, known["pieces"], None)', "pieces", "test_prepare.py"),
    Mutant("a changed input goes unnoticed", "prepare.py", "            digest.update(text.encode())", "            pass", "test_prepare.py"),
    Mutant("byte of the buffer, not of the file", "prepare.py", "file.tell() - len(error.object) + error.start", "error.start", "test_prepare.py"),
    Mutant("a manifest finished too early", "prepare.py", '"finished": False}', '"finished": True}', "test_prepare.py"),
    Mutant("an unfinished folder opens", "shards.py", 'known is None or not known["finished"]', "known is None", "test_prepare.py"),
    Mutant("half a write on a full disk", "prepare.py", "data = data[files[split].write(data) :]", "files[split].write(data); break", "test_prepare.py"),
    Mutant("the tokenizer sees validation text", "prepare.py", '[document for document in documents if document.split == "train"]', "documents", "test_prepare.py"),
    Mutant("one scale for the whole matrix", "quantize.py", "w.abs().amax(dim=1) / 127", "(w.abs().amax() / 127).expand(w.size(0)).clone()", "test_quantize.py"),
    Mutant("towards zero, not to the nearest", "quantize.py", ".round().to(torch.int8)", ".to(torch.int8)", "test_quantize.py"),
    Mutant("int8 weights read without their scale", "quantize.py", "q.float() * scale.float()[:, None]", "q.float()", "test_quantize.py"),
    # metrics, and the commands that use a model
    Mutant("BLEU's references in another order", 'metrics.py', '[s[i] if i < len(s) else None for s in several]', '[s[0] for s in several]', 'test_metrics.py'),
    Mutant('Chinese cut as English', 'metrics.py', 'BLEU(trg_lang=language)', 'BLEU()', 'test_metrics.py'),
    Mutant('ROUGE without stems', 'metrics.py', 'use_stemmer=True', 'use_stemmer=False', 'test_metrics.py'),
    Mutant('articles before punctuation', 'metrics.py', 'text.lower() if char not in string.punctuation', 're.sub(r"\\b(a|an|the)\\b", " ", text.lower()) if char not in string.punctuation', 'test_metrics.py'),
    Mutant('articles inside words', 'metrics.py', 'r"\\b(a|an|the)\\b"', 'r"(a|an|the)"', 'test_metrics.py'),
    Mutant('F1 over sets of words', 'metrics.py', '(Counter(said) & Counter(right)).total()', 'len(set(said) & set(right))', 'test_metrics.py'),
    Mutant('F1 against the first answer only', 'metrics.py', 'return max(_f1(normalize(hypothesis).split(), normalize(one).split()) for one in _several(reference))', 'return _f1(normalize(hypothesis).split(), normalize(_several(reference)[0]).split())', 'test_metrics.py'),
    Mutant('n-grams across two texts', 'metrics.py', '[gram for text in texts for gram in _ngrams(text, n)]', '_ngrams(" ".join(t if isinstance(t, str) else "" for t in texts), n)', 'test_metrics.py'),
    Mutant('code that is run', 'metrics.py', 'ast.parse(code)', 'exec(compile(code, "x", "exec"), {})', 'test_metrics.py'),
    Mutant('too deep for the parser', 'metrics.py', 'except (SyntaxError, ValueError, RecursionError, MemoryError)', 'except SyntaxError', 'test_metrics.py'),
    Mutant('the interval one-sided', 'metrics.py', '[(1 - level) / 2, (1 + level) / 2]', '[1 - level, level]', 'test_metrics.py'),
    Mutant('the bootstrap without replacement', 'metrics.py', 'scores[dice.integers(len(scores), size=len(scores))]', 'dice.permutation(scores)', 'test_metrics.py'),
    Mutant('a strided target counted twice', 'data.py', '(places >= starts + self.block_size - self.stride)', '(places >= starts + self.block_size - self.stride - 1)', 'test_evaluate.py'),
    Mutant('the first window scored like the others', 'data.py', '(starts == 0) | ', '', 'test_evaluate.py'),
    Mutant('the last window lost', 'data.py', 'max(1, len(self.tokens) - 1 - self.block_size + self.stride)', 'max(1, len(self.tokens) - self.block_size)', 'test_evaluate.py'),
    Mutant('the stop token in the text', 'generate.py', 'if token not in stop and (piece', 'if (piece', 'test_commands.py'),
    Mutant('NaN drawn from', 'generate.py', 'if not logits.amax(-1).isfinite().all():', 'if False:', 'test_fuzz.py'),
    Mutant('chat forgets the system message', 'commands/use.py', 'messages[:keep] + messages[keep + 2 :]', 'messages[keep + 2 :]', 'test_commands.py'),
    Mutant('chat forgets what it said', 'commands/use.py', '[*kept, {"role": "assistant", "content": "".join(pieces)}]', 'kept', 'test_commands.py'),
    Mutant('/reset keeps the history', 'commands/use.py', 'messages = list(start)\n                print', 'print', 'test_commands.py'),
    Mutant('a LoRA left beside the weights', 'commands/use.py', 'merge_lora(model)\n    return model', 'pass\n    return model', 'test_commands.py'),
    Mutant('answers in the order of their length', 'commands/evaluate.py', 'said[i] = words', 'said[at] = words', 'test_commands.py'),
    Mutant("a translator's padding seen", 'commands/evaluate.py', 'torch.ones_like(p, dtype=torch.bool) for p in rows], False', 'torch.ones_like(p, dtype=torch.bool) for p in rows], True', 'test_commands.py'),
    Mutant('code parsed without its head', 'commands/evaluate.py', 'metrics.parses(e.source + s)', 'metrics.parses(s)', 'test_commands.py'),
    Mutant('latest leads anywhere', 'checkpoint.py', 'here = name.startswith("step-") and Path(name).name == name', 'here = True', 'test_fuzz.py'),
    Mutant('JSON nested too deep', 'checkpoint.py', 'except (ValueError, OSError, RecursionError) as e:', 'except (ValueError, OSError) as e:', 'test_fuzz.py'),
    Mutant('an index that leads outside', 'hf.py', 'if any(Path(f).name != f for f in files):', 'if False:', 'test_fuzz.py'),
    Mutant('a tied SmolLM2 with keys and queries exchanged', 'llama.py', '("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight")', '("self_attn.q_proj.weight", "self_attn.v_proj.weight", "self_attn.k_proj.weight")', 'test_llama.py'),
    # scaling
    Mutant("only the forward pass costs", "scaling.py", "return 6 * weights(model) + attention", "return 2 * weights(model) + attention", "test_scaling.py"),
    Mutant("the look-up table multiplies", "scaling.py", "id(p) not in tables - heads", "True", "test_scaling.py"),
    Mutant("a law fitted on plain paper", "scaling.py", "np.polyfit(np.log(x), np.log(y), 1)", "np.polyfit(x, np.log(y), 1)", "test_scaling.py"),
    Mutant("the errors of a fitted parabola as they are", "scaling.py", "* math.sqrt(n / (n - 3))", "* 1.0", "test_scaling.py"),
    # homework: checks, assignments, the grader and its walls
    Mutant("an edge costs all points", "homework/check.py", "share=0.5 if only_edges else 0.0", "share=0.0", "test_homework_4.py"),
    Mutant("nobody's numbers are a student's own", "homework/check.py", "int.from_bytes(hashlib.sha256(name).digest()[:4], \"little\") if name else 0", "0", "test_homework_4.py"),
    Mutant("a homework's check only prints", "homework/check.py", 'if result.status != "right":\n            link_to_hints', 'if False:\n            link_to_hints', "test_homework_4.py"),
    Mutant("a mistake is named by one input", "homework/check.py", "if all(same(got[i], run(mistake, cases[i]), exercise) for i in order)", "if same(got[order[0]], run(mistake, cases[order[0]]), exercise)", "test_homework.py"),
    Mutant("a right shape is a right answer", "homework/check.py", "if torch.allclose(value, expected, exercise.rtol, exercise.atol):", "if True:", "test_homework.py"),
    Mutant("the stub counts as an answer", "homework/assignment.py", "if text.strip() != wanted[name].source.strip()", "if True", "test_assignment.py"),
    Mutant("the last of two answer cells counts", "homework/assignment.py", " and name not in found", "", "test_assignment.py"),
    Mutant("a solution kept in the student's copy", "homework/assignment.py", "return REGION.sub(blank, text)", "return text", "test_assignment.py"),
    Mutant("the notebook says whose grade it is", "homework/grading.py", "student if student and fits else name", "student or name", "test_grading.py"),
    Mutant("the same inputs in every run", "homework/grading.py", 'f"{seed} {submission.student}"', '"0"', "test_grading.py"),
    Mutant("a submission's outputs are not counted", "homework/grading.py", "if len(got) != len(cases):", "if False:", "test_grading.py"),
    Mutant("graded again what has been graded", "homework/grading.py", "if place.exists() and not again:", "if False:", "test_grading.py"),
    Mutant("a seed that is asked for changes no grade", "homework/grading.py", "if seed in (None, known.seed):", "if True:", "test_grade_command.py"),
    Mutant("a wrong reference, corrected, changes no grade", "homework/grading.py", ' + b"".join(path.read_bytes() for path in files)', "", "test_grade_command.py"),
    Mutant("a link is read wherever it leads", "homework/grading.py", "    found = path.lstat()\n    return stat.S_ISREG", "    found = path.stat()\n    return stat.S_ISREG", "test_grade_command.py"),
    Mutant("an answer whose cell was lost is asked for", "homework/grading.py", "if isinstance(cell, Lost):", "if False:", "test_grading.py"),
    Mutant("the first of several submissions counts", "homework/report.py", "handed_in(r, times))", "-handed_in(r, times))", "test_grading.py"),
    Mutant("formulas in the table", "homework/report.py", "return f\"'{text}\" if", "return text if", "test_grading.py"),
    Mutant("a student's HTML in the teacher's page", "homework/report.py", 'said = f"<pre>{escape(text)}</pre>"', 'said = f"<pre>{text}</pre>"', "test_grading.py"),
    Mutant("a teacher's points under another case are lost", "homework/report.py", "given = {student.casefold(): points", "given = {student: points", "test_report.py"),
    Mutant("a teacher's points go with their student", "homework/report.py", "sorted({*by_student, *given} - listed)", "sorted({*by_student} - listed)", "test_report.py"),
    Mutant("a teacher's points are not added", "homework/report.py", " + sum(self.marks.values()) if results", " if results", "test_grading.py"),
    Mutant("the worker inherits secrets", "homework/sandbox.py", 'env = dict(PATH="/usr/bin:/bin",', 'env = dict(os.environ, PATH="/usr/bin:/bin",', "test_sandbox.py"),
    Mutant("a reply to another step is taken", "homework/sandbox.py", 'reply["step"] == number and len(reply) == 2', "len(reply) == 2", "test_sandbox.py"),
    Mutant("a submission may use the network", "homework/jail.py", "NEWNS | NEWNET | NEWUTS", "NEWNS | NEWUTS", "test_sandbox.py"),
    Mutant("submissions share memory", "homework/jail.py", "NEWPID | NEWNS | NEWIPC", "NEWPID | NEWNS", "test_sandbox.py"),
    Mutant("submissions share keys", "homework/jail.py", "ctypes.CDLL(None).syscall(number, JOIN_SESSION_KEYRING, None)", "pass", "test_sandbox.py"),
    Mutant("what is mounted in a folder can be written", "homework/jail.py", "for place in mounts(target):", "for place in [target]:", "test_sandbox.py"),
    Mutant("a book among the packages is in sight", "homework/jail.py", "if path == hidden and in_sight:", "if False:", "test_sandbox.py"),
    Mutant("a submission runs as root", "homework/jail.py", "        os.setgid(uid)\n        os.setuid(uid)\n", "", "test_sandbox.py"),
    Mutant("files of any size", "homework/jail.py", "at_most(resource.RLIMIT_FSIZE, limits.file_size * MB)", "pass", "test_sandbox.py"),
    Mutant("bits for nats in the ruler's perplexity", "homework/assignments/homework_1.py", "return torch.stack([nats_per_token.exp(), bits_per_byte])", "return torch.stack([2**nats_per_token, bits_per_byte])", "test_homework_1.py"),
    Mutant("a shorter context counted by how often", "homework/assignments/homework_1_table.py", "Counter(s[1:] for s in set(strings(text, m + 2)))", "Counter(s[1:] for s in strings(text, m + 2))", "test_homework_1.py"),
    Mutant("what was discounted goes nowhere", "homework/assignments/homework_1_table.py", "return (c - D * (c > 0) + D * (c > 0).sum() * shorter) / c.sum()", "return (c - D * (c > 0)) / c.sum()", "test_homework_1.py"),
    Mutant("nothing after a context never seen", "homework/assignments/homework_1_table.py", "p = mix(c, p, D) if c.sum() else strange(p)", "p = mix(c, p, D) if c.sum() else 0 * strange(p)", "test_homework_1.py"),
    Mutant("the race is chosen on the test text", "homework/assignments/homework_1_race.py", 'most, by="valid", counted="train"', 'most, by="test", counted="train"', "test_homework_1.py"),
    Mutant("α below the line forgotten", "homework/assignments/homework_1_race.py", "total = totals[context] + alpha * sizes.get(below, kinds[context])", "total = totals[context]", "test_homework_1.py"),
    Mutant("the leak that counts no test text", "homework/assignments/homework_1_leak.py", 'sources = {"test counted": train + test}', 'sources = {"test counted": train}', "test_homework_1.py"),
    Mutant("races in which all texts choose alike", "homework/assignments/homework_1_race.py", 'if lengths["valid"] not in (lengths["test"], lengths["train"]) and', "if", "test_homework_1.py"),
    Mutant("a ruler per character", "homework/assignments/homework_1.py", 'per or ["bytes"] * 3', 'per or ["characters"] * 3', "test_homework_1.py"),
    Mutant("a city of two origins is no city", "homework/assignments/homework_2.py", "return sum(first[a] * second[b] for a, b in known)", "return sum(p**2 for p in known.values())", "test_homework_2.py"),
    Mutant("a guess starts with its own word", "homework/assignments/homework_2.py", "torch.eye(sees.size(-1)).expand(sees.shape), torch.zeros(sees.shape)\n    for _ in range(layers):\n        heard", "torch.eye(sees.size(-1)).expand(sees.shape), torch.eye(sees.size(-1)).expand(sees.shape)\n    for _ in range(layers):\n        heard", "test_homework_2.py"),
    Mutant("a note that reads this layer's notes", "homework/assignments/homework_2.py", "        heard = sees @ h\n", "        heard = sees @ (sees @ h + h)\n", "test_homework_2.py"),
    Mutant("orders taken for ranks in homework 2", "homework/assignments/homework_2_orders.py", "rank = orders.argsort(1) if rank is None else rank", "rank = orders if rank is None else rank", "test_homework_2.py"),
    Mutant("the first guesses of an order scored", "homework/assignments/homework_2_orders.py", "scored = rank >= orders.size(1) - last if scored is None", "scored = rank < last if scored is None", "test_homework_2.py"),
    Mutant("a word that is never scored divides by zero", "homework/assignments/homework_2_orders.py", "scored.sum(0).clamp(min=1)[:, None]", "scored.sum(0)[:, None]", "test_homework_2.py"),
    Mutant("words to come taken at their likeliest", "homework/assignments/homework_2_writing.py", "unknown=torch.sum", "unknown=torch.amax", "test_homework_2.py"),
    Mutant("words left in the order of drawing", "homework/assignments/homework_2_writing.py", "            text[place] = pick(probs, points[die])\n            rest = rest[text[place]]", "            text[die] = pick(probs, points[die])\n            rest = rest[text[die]]", "test_homework_2.py"),
    Mutant("a fault of padding unseen", "homework/assignments/homework_2_audit.py", "if (scored & ~real).any():", "if False:", "test_homework_2.py"),
    Mutant("no token stays by accident", "homework/assignments/homework_2_audit.py", "other = torch.where(same, ids, other)", "pass", "test_homework_2.py"),
    Mutant("the rarest pair is merged", "homework/assignments/homework_3.py", "return min(counts, key=lambda pair: (-counts[pair], pair))", "return max(counts, key=lambda pair: (-counts[pair], pair))", "test_homework_3.py"),
    Mutant("a letter is joined twice", "homework/assignments/homework_3.py", "i += step if found else 1", "i += 1", "test_homework_3.py"),
    Mutant("merges reach from word to word", "homework/assignments/homework_3_trip.py", "cut=PRETOKEN.findall, spell", "cut=lambda text: [text], spell", "test_homework_3.py"),
    Mutant("the unfinished end is never shown", "homework/assignments/homework_3_trip.py", "final=i == len(tokens) - 1", "final=False", "test_homework_3.py"),
    Mutant("an accumulated update is a mean of means", "homework/assignments/homework_3_update.py", "torch.cat(parts).sum() / sum(len(part) for part in parts)", "sum(part.mean() for part in parts) / len(parts)", "test_homework_3.py"),
    Mutant("short gradients are stretched", "homework/assignments/homework_3_update.py", "min(1.0, clip / (float(gradient.norm()) + 1e-6))", "clip / float(gradient.norm())", "test_homework_3.py"),
    Mutant("the reference forgets Adam's means", "homework/assignments/homework_3_resume.py", "again.load_state_dict(optimizer.state_dict())", "pass", "test_homework_3.py"),
    Mutant("a symptom is another bug's", "homework/assignments/homework_3_symptoms.py", "N if bug == NOT_DIVIDED else 1", "N if bug == SCHEDULE else 1", "test_homework_3.py"),
    Mutant("texts of one length are equal", "homework/words.py", "if mine == ours else", "if True else", "test_homework_3.py"),
    Mutant("every value is said to be right", "homework/check.py", "sum(map(equal, value, right))", "len(value)", "test_homework_3.py"),
    Mutant("homework 5.1: the shorter prompt sets the room", "homework/assignments/homework_5.py", "return max_length, max_length - c, max_length - b - end\n\n\ndef length_as", "return max_length, max_length - b, max_length - b - end\n\n\ndef length_as", "test_homework_5.py"),
    Mutant("homework 5.2: negative logits divided by the penalty", "homework/assignments/homework_5.py", "torch.where(scores < 0, scores * penalty, scores / penalty)", "scores / penalty", "test_homework_5.py"),
    Mutant("homework 5.2: the crossing token dropped", "homework/assignments/homework_5.py", "reached - ordered if crossing else reached", "reached", "test_homework_5.py"),
    Mutant("homework 5.2: the k-th best dropped", "homework/assignments/homework_5.py", "scores.masked_fill(scores < least, -torch.inf)", "scores.masked_fill(scores <= least, -torch.inf)", "test_homework_5.py"),
    Mutant("homework 5.3: padding counted as positions", "homework/assignments/homework_5_batch.py", "return (mask.cumsum(1) - 1).clamp(min=0)", "return torch.arange(mask.size(1)).expand_as(mask)", "test_homework_5.py"),
    Mutant("homework 5.3: a text goes on after its end", "homework/assignments/homework_5_batch.py", "new = new.masked_fill(done, PAD)", "pass", "test_homework_5.py"),
    Mutant("homework 5.4: scores of different rows not made comparable", "homework/assignments/homework_5_search.py", "return search(logits.log_softmax(-1), start, length, beams)\n\n\ndef search", "return search(logits, start, length, beams)\n\n\ndef search", "test_homework_5.py"),
    Mutant("homework 5.5: the other GELU", "homework/assignments/homework_5_port.py", 'F.gelu(x, approximate="tanh")', "F.gelu(x)", "test_homework_5.py"),
    Mutant("homework 5.5: the head always tied", "homework/assignments/homework_5_port.py", 'theirs.get("lm_head.weight", wte)', "wte", "test_homework_5.py"),
    Mutant("a contest pays on what was handed out", "homework/contest.py", '["held" if writes else "asked"]', '["known" if writes else "asked"]', "test_homework_6.py"),
    Mutant("a list is graded on what is known", "homework/contest.py", "list(answer)[-len(asked) :]", "list(answer)[: len(asked)]", "test_homework_6.py"),
    Mutant("answers to what is asked are handed out", "homework/contest.py", '"asked": [inputs for inputs, _ in parts["asked"]]', '"asked": [(*inputs, right) for inputs, right in parts["asked"]]', "test_homework_6.py"),
    Mutant("a contest without a dull rule", "homework/contest.py", "bootstrap([a - b for a, b in", "bootstrap([a for a, b in", "test_homework_6.py"),
    Mutant("what is no text is paid", "homework/contest.py", "if isinstance(s, str) else 0.0", "if isinstance(s, str) else 1.0", "test_homework_6.py"),
    Mutant("years of a passage move apart", "homework/assignments/homework_6_contest.py", "moved(passage[\"text\"], shift)", "moved(passage[\"text\"], shift - 1)", "test_homework_6.py"),
    Mutant("families joined in one round", "homework/assignments/homework_6.py", "    while family != before:", "    for _ in range(1):", "test_homework_6.py"),
    Mutant("BLEU without its brevity factor", "homework/assignments/homework_6_metrics.py", "math.exp(min(0, 1 - right / said))", "math.exp(0)", "test_homework_6.py"),
    Mutant("an example's answer without its last token", "homework/assignments/homework_6_examples.py", "return row(passage, question, passage[first : last + 1], length)\n\n\ndef row", "return row(passage, question, passage[first:last], length)\n\n\ndef row", "test_homework_6.py"),
    Mutant("the schedule's rate is not used", "train.py", 'parameters["lr"] = lr', "pass", "test_train.py"),
    Mutant("the gradient is not clipped", "train.py", "config.clip or math.inf", "math.inf", "test_train.py"),
    Mutant("bfloat16 is asked for and not used", "train.py", "loss_fn, group, autocast(dtype, device))", "loss_fn, group, nullcontext())", "test_train.py"),
    Mutant("compile is asked for and not done", "train.py", "torch.compile(model) if config.compile else model", "model", "test_train.py"),
    Mutant("an idle head hinders a second process", "train.py", "find_unused_parameters=idle", "find_unused_parameters=False", "test_distributed.py"),
    Mutant("a log is cut at every separator of lines", "resume.py", '.split("\\n"):', ".splitlines():", "test_train.py"),
    Mutant("resuming takes the default's steps", "commands/train.py", 'kept["steps"] = max(saved.steps, kept.get("steps", 0))', 'kept["steps"] = config.steps', "test_cli.py"),
    Mutant("resuming takes what may not change", "commands/train.py", "if name not in MAY_CHANGE and given[name]", "if given[name] is None and given[name]", "test_cli.py"),
    Mutant("a file is written over in place", "files.py", 'path.with_name(path.name + ".partial")', "path", "test_files.py"),
    Mutant("a half-written file stays", "files.py", "partial.unlink(missing_ok=True)", "pass", "test_files.py"),
    Mutant("a tied head takes a LoRA", "lora.py", "if any(id(layer.weight) in tables for layer in layers)", "if False", "test_lora.py"),
    Mutant("two stacks count their table twice", "model.py", "tables = {m.weight for m in self.modules() if isinstance(m, nn.Embedding)}", "tables = [m.weight for m in self.modules() if isinstance(m, nn.Embedding)]", "test_model.py"),
    Mutant("units are dropped while pointing", "answers.py", "@evaluating\n@torch.inference_mode()\ndef point", "@torch.inference_mode()\ndef point", "test_answers.py"),
    Mutant("rounding hides which mistake it is", "homework/check.py", "for within in (1e-6, ROUNDED)", "for within in (ROUNDED,)", "test_homework.py"),
    Mutant("three digits are not enough", "homework/check.py", "ROUNDED = 5e-3", "ROUNDED = 1e-3", "test_exercises_4_2.py"),
    Mutant("a time needs the name as it is written", "homework/report.py", "times = {name.casefold(): time for name, time in times.items()}", "times = dict(times)", "test_report.py"),
]  # fmt: skip


def passes(test: str, folder: Path) -> bool:
    """Whether a test file passes in the copy, and ends. Raises ValueError if pytest itself could not do its work."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not long", "-p", "no:cacheprovider", f"tests/{test}"]
    # The copy comes before an installed minigpt on the path.
    env = {**os.environ, "PYTHONPATH": str(folder)}
    try:
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:  # inputs are drawn until the mistakes show: a wrong reference may never find any
        return False
    if done.returncode not in (0, 1):
        raise ValueError(f"pytest ended with {done.returncode}:\n{done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests pass although the line is wrong. Raises ValueError if the line is not there exactly once."""
    source = (ROOT / "minigpt" / mutant.file).read_text(encoding="utf-8")
    if source.count(mutant.line) != 1:
        raise ValueError(f"{mutant.file} holds {mutant.line!r} {source.count(mutant.line)} times, not once")
    changed = folder / "minigpt" / mutant.file
    changed.write_text(source.replace(mutant.line, mutant.wrong), encoding="utf-8")
    try:
        return passes(mutant.test, folder)
    finally:
        changed.write_text(source, encoding="utf-8")


def verdicts(folder: Path, chosen: list[Mutant]) -> Iterator[tuple[bool, str]]:
    """(good, what to print) of each test file without a mutant, which must pass, and then of each mutant."""
    for test in sorted({m.test for m in chosen}):
        try:
            good = passes(test, folder)
        except ValueError as e:
            good, test = False, f"{test}: {e}"
        if not good:  # then what dies under it proves nothing
            yield False, f"FAILS without a mutant: {test}"
    for mutant in chosen:
        try:
            verdict = "SURVIVES" if survives(mutant, folder) else "killed"
        except ValueError as e:
            verdict = f"BROKEN: {e}"
        yield verdict == "killed", f"{verdict:<9} {mutant.file:<14} {mutant.name}"


def main(words: list[str]) -> int:
    chosen = [m for m in MUTANTS if not words or any(w in m.name for w in words)]
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("minigpt", "tests"):
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        for part in ("chapters", "book", "pyproject.toml", "Makefile"):  # what tests read
            (folder / part).symlink_to(ROOT / part)
        for i, (good, line) in enumerate(verdicts(folder, chosen), 1):
            bad += not good
            print(f"{i:>3}/{len(chosen)} {line}", flush=True)
    print(f"{len(chosen)} mutants tried, {bad} lines to mend" if bad else f"all {len(chosen)} mutants killed")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
