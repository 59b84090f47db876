# MiniGPT: an interactive textbook on GPT. `make help` lists what can be asked for.
# No make on your system? README.md has the same commands, plain.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
BOOK   := _build/html/index.html
PORT   ?= 8000

MODELS := andersen shakespeare-char wikipedia describe en-es zh-en point answer closed-book gpt bert xlnet chat code
TRAIN  := $(PY) -m minigpt train
TUNE   := $(PY) -m minigpt finetune

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book models test test-fast test-long lab serve data data-all execute furniture homework slides mutants clean distclean \
        lint unit notebooks fresh house browser chromium

## For readers
help:       ## list these commands
	@awk -F ':.*## ' '/^## / {print "\n" substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

book: $(VENV)/installed ## build the book (the first time also: set up .venv) and say where to open it
	@$(VENV)/bin/jupyter-book build . -W -n --keep-going -q || { rm -rf _build/.doctrees; exit 1; }
	@echo; echo "The book is built. Open it in a browser:  file://$(CURDIR)/$(BOOK)"

lab: $(VENV)/installed ## fetch the core texts, open JupyterLab on lab/, your own copy of the chapters
	-@$(PY) -m minigpt data fetch
	$(PY) book/tools/lab.py
	$(PY) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/lab

serve: book ## serve the built book at http://127.0.0.1:8000 (PORT=… for another)
	$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

data: $(VENV)/installed ## fetch the core texts (27 MB, pinned by hash)
	$(PY) -m minigpt data fetch

data-all: $(VENV)/installed ## fetch every text the book can use (225 MB)
	$(PY) -m minigpt data fetch --everything

## For authors
execute: $(VENV)/installed ## run the notebooks again, in place, and store outputs and measurements (NB=path for one)
	$(PY) book/tools/execute.py $(NB)

furniture: $(VENV)/installed ## write the notebooks' header cards and references anew, without running them
	$(PY) book/tools/execute.py --furniture $(NB)

homework: $(VENV)/installed ## make the homework to hand out, homework/, and its solutions (HW=4 for one)
	$(PY) book/tools/homework.py $(HW)

slides: $(VENV)/installed ## make the slides, a deck for each page, in _build/slides
	$(PY) book/tools/slides.py

models: $(MODELS:%=model-%) ## train the book's models again (about six hours on one core; make model-NAME for one)

test: lint unit notebooks fresh house browser ## everything that must hold: code, notebooks, book, browser
	@echo; echo "Everything holds."

test-fast: lint data ## the quick part of it, for daily work
	$(PY) -m pytest -q -m "not long" --ignore=tests/browser --ignore=tests/house/test_built.py

test-long: data ## the slow part: tests marked long, and the mutants
	$(PY) -m pytest -q -m long --ignore=tests/browser --ignore=tests/house
	$(MAKE) mutants

mutants: $(VENV)/installed ## break minigpt in named ways, one at a time; each must fail a test
	$(PY) tests/mutants.py

clean:      ## remove what was built
	rm -rf _build .pytest_cache .ruff_cache .hypothesis

distclean: clean ## … and the virtual environment
	rm -rf $(VENV)

# The steps of `make test`, each of which can be asked for by itself.
lint: $(VENV)/installed
	$(PY) -m ruff check .

unit: data
	$(PY) -m pytest -q -m "not long" --ignore=tests/browser --ignore=tests/house

# Page 6.2's pairs are the only text outside the core that a page cannot do without.
notebooks: data
	$(PY) -m minigpt data fetch tatoeba-en-es
	$(PY) -m pytest -q -p no:cacheprovider --nbval-lax --nbval-cell-timeout=300 \
	    --nbval-sanitize-with tests/nbval.cfg book/toolkit.ipynb chapters

fresh:
	rm -rf _build
	$(MAKE) book

house: $(VENV)/installed
	$(PY) -m pytest -q tests/house

browser: $(VENV)/installed chromium
	$(PY) -m pytest -q -m "not long" tests/browser

chromium:
	@[ -n "$$CHROMIUM" ] || command -v chromium >/dev/null 2>&1 || command -v chromium-browser >/dev/null 2>&1 \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	       && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || { echo "The browser tests need Chromium (Debian, Ubuntu: apt-get install chromium), or CHROMIUM=its path."; exit 1; }

# The book's models: a run in runs/models, whose weights go to chapters/models in 8 bits (chapters/models/README.md).
define ship
	rm -rf runs/models/$(1)-shipped
	$(PY) -m minigpt shrink runs/models/$(1) runs/models/$(1)-shipped
	mkdir -p chapters/models/$(1) && cp runs/models/$(1)-shipped/* chapters/models/$(1)/
endef

# The log of a run whose weights are not kept, thinned as `shrink` does it.
THIN := grep -E '"step": [0-9]*0,|"val_loss"|"sample"|"stopped"'

model-andersen: data
	$(TRAIN) andersen --model micro --tokenizer chapters/models/andersen --dropout 0.1 --steps 3000 --lr 3e-3 --warmup 100 \
	    --eval-every 250 --save-every 500 --sample-every 1000 --sample-prompt "Once upon a time" --out runs/models/andersen
	$(call ship,andersen)

model-shakespeare-char: data
	$(TRAIN) tiny-shakespeare --tokenizer char --model micro --style modern --dropout 0.05 --steps 2000 --batch-size 24 \
	    --lr 4e-3 --warmup 100 --decay 0.6 --eval-every 150 --sample-every 0 --save-every 500 --dtype float32 \
	    --out runs/models/shakespeare-char
	$(call ship,shakespeare-char)

model-wikipedia: data
	$(TRAIN) wikipedia --model micro --style modern --n-layer 4 --n-embd 192 --n-head 6 --block-size 256 --vocab-size 2048 \
	    --dropout 0.05 --steps 2000 --batch-size 16 --lr 3e-3 --warmup 100 --decay 0.5 --eval-every 250 --save-every 250 \
	    --sample-every 500 --dtype float32 --out runs/models/wikipedia
	$(call ship,wikipedia)

# The three objectives of page 2.3: the same model, text, tokens and steps.
model-gpt: data
	$(TRAIN) wikipedia --objective clm $(THREE) --out runs/models/gpt
	$(call ship,gpt)

model-bert: data
	$(TRAIN) wikipedia --objective mlm $(THREE) --out runs/models/bert
	$(call ship,bert)

model-xlnet: data
	$(TRAIN) wikipedia --objective plm --predict 1 $(THREE) --out runs/models/xlnet
	$(call ship,xlnet)

THREE := --model micro --style modern --n-layer 3 --block-size 64 --tokenizer chapters/models/wikipedia --steps 1200 \
    --batch-size 16 --lr 4e-3 --warmup 100 --decay 0.5 --eval-every 500 --save-every 500 --sample-every 0 --dtype float32

model-describe: data
	$(TUNE) chapters/models/wikipedia describe $(SHORT) --steps 600 --lr 1e-3 --out runs/models/describe
	$(call ship,describe)
	$(TUNE) chapters/models/wikipedia describe $(SHORT) --steps 200 --lr 3e-3 --lora-rank 8 --out runs/models/describe-lora
	$(TRAIN) describe --objective chat --model micro --style modern --n-layer 4 --n-embd 192 --n-head 6 --block-size 256 \
	    --dropout 0.05 --tokenizer chapters/models/wikipedia $(SHORT) --steps 300 --lr 1e-3 --out runs/models/describe-scratch
	rm -f chapters/models/describe/lora-adapter.safetensors
	$(PY) -m minigpt shrink runs/models/describe-lora/adapter.safetensors chapters/models/describe/lora-adapter.safetensors
	$(THIN) runs/models/describe-lora/log.jsonl > chapters/models/describe/lora-log.jsonl
	$(THIN) runs/models/describe-scratch/log.jsonl > chapters/models/describe/from-nothing-log.jsonl
	$(PY) -m minigpt evaluate chapters/models/describe $(JUDGE) --out chapters/models/describe/predictions.json
	$(PY) -m minigpt evaluate runs/models/describe-lora $(JUDGE) --out chapters/models/describe/lora-predictions.json

SHORT := --batch-size 8 --warmup 30 --eval-every 100 --max-length 80 --dtype float32 --save-every 0
JUDGE := --task describe --max-length 80 --max-new-tokens 24 --batch-size 32

model-topics: data
	mkdir -p runs/models chapters/models/topics
	$(PY) -m minigpt.transfer chapters/models/wikipedia runs/models/topics.jsonl
	cp runs/models/topics.jsonl chapters/models/topics/runs.jsonl

model-encoder: data
	$(TRAIN) wikipedia --objective mlm --model micro --style modern --n-layer 4 --n-embd 192 --n-head 6 --block-size 256 \
	    --tokenizer chapters/models/wikipedia --dropout 0.05 --steps 541 --batch-size 16 --lr 3e-3 --warmup 100 \
	    --schedule constant --eval-every 200 --save-every 400 --sample-every 0 --dtype float32 --out runs/models/encoder

# The encoder is not shipped; plain `make`, so that `make -n` says how the head was trained, not the encoder.
model-point: data
	@[ -d runs/models/encoder ] || make model-encoder
	$(TUNE) runs/models/encoder qa --head $(QA) --steps 400 --lr 1e-3 --eval-every 100 --save-every 100 --out runs/models/point
	$(call ship,point)

model-answer: data
	$(TUNE) chapters/models/wikipedia qa $(QA) --steps 450 --lr 2e-3 --eval-every 150 --save-every 150 --out runs/models/answer
	$(call ship,answer)
	$(PY) -m minigpt evaluate chapters/models/answer --task qa $(ASK) --out chapters/models/answer/predictions.json

model-closed-book: data
	$(TUNE) chapters/models/wikipedia closed-book --examples 3000 $(QA) --steps 800 --lr 2e-3 --eval-every 100 --save-every 0 \
	    --out runs/models/closed-book
	$(call ship,closed-book)
	$(PY) -m minigpt evaluate chapters/models/closed-book --task closed-book $(ASK) \
	    --out chapters/models/closed-book/predictions.json

QA  := --batch-size 8 --warmup 30 --patience 0 --dtype float32
ASK := --max-new-tokens 24 --batch-size 32

model-chat: data
	$(PY) -m minigpt data fetch chitchat
	$(TUNE) chapters/models/wikipedia chitchat --steps 350 --batch-size 8 --lr 1e-3 --warmup 30 --eval-every 175 \
	    --save-every 0 --dtype float32 --out runs/models/chat
	$(call ship,chat)
	$(PY) -m minigpt evaluate chapters/models/chat --task chitchat --limit 200 --max-new-tokens 32 --batch-size 40 \
	    --out chapters/models/chat/predictions.json

model-code: $(VENV)/installed
	$(TRAIN) python --model micro --style modern --block-size 256 --vocab-size 2048 --dropout 0.05 --steps 1200 \
	    --batch-size 12 --lr 3e-3 --warmup 100 --decay 0.5 --eval-every 0 --save-every 300 --dtype float32 \
	    --out runs/models/code
	$(call ship,code)

# Three translators for each pair of languages: the book's, which is kept; a decoder-only one; and an encoder-decoder that
# reads as many pairs as that one did. Of the last two, the log and the answers are kept.
define translators
	$(TRAIN) $(1) $(TRANSLATOR) --label-smoothing 0.1 --steps 9000 --eval-every 1000 $(2) $(3) --out runs/models/$(1)
	$(call ship,$(1))
	$(TRAIN) $(1) $(DECODER_ONLY) $(2) $(3) --out runs/models/$(1)-decoder-only
	$(TRAIN) $(1) $(TRANSLATOR) --steps $(4) --eval-every 500 $(2) $(3) --out runs/models/$(1)-as-many-pairs
	$(PY) -m minigpt evaluate chapters/models/$(1) --task $(1) $(3) $(GREEDY) --out chapters/models/$(1)/predictions.json
	for way in decoder-only as-many-pairs; do \
	  $(THIN) runs/models/$(1)-$$way/log.jsonl > chapters/models/$(1)/$$way-log.jsonl && \
	  $(PY) -m minigpt evaluate runs/models/$(1)-$$way --task $(1) $(3) $(GREEDY) --out chapters/models/$(1)/$$way-predictions.json \
	  || exit 1; \
	done
endef

model-en-es: data
	$(PY) -m minigpt data fetch tatoeba-en-es
	$(call translators,en-es,--vocab-size 4000,--max-length 8,2114)

model-zh-en: data
	$(call translators,zh-en,--vocab-size 5000,--max-length 16,2288)

GREEDY := --limit 500 --max-new-tokens 32 --batch-size 50

TRANSLATOR := --objective seq2seq --model micro --style modern --n-layer 2 --n-embd 192 --n-head 6 --block-size 64 \
    --dropout 0.1 --batch-size 64 --lr 5e-3 --warmup 200 --decay 0.6 --save-every 1000 --dtype float32
DECODER_ONLY := --objective chat --model micro --style modern --n-layer 4 --n-embd 192 --n-head 6 --block-size 96 \
    --dropout 0.1 --steps 1000 --batch-size 64 --lr 3e-3 --warmup 100 --decay 0.6 --eval-every 250 --save-every 250 \
    --dtype float32

# Page 1.2 reads the log of many small runs: those that it lacks are trained.
sweep-scaling: data
	$(PY) -m minigpt.scaling chapters/models/scaling/runs.jsonl

# One stamp file, so that a second call installs nothing.
$(VENV)/installed: requirements.txt constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 \
	  || { echo "No '$(PYTHON)' found: install Python 3.11 or newer (https://www.python.org), or name yours: make book PYTHON=…"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "The book needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) -V). Name a newer one: make book PYTHON=python3.12"; exit 1; }
	@[ -x $(PY) ] || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "Python could not make a virtual environment (Debian, Ubuntu: apt-get install python3-venv)."; exit 1; }
	@echo "Installing what the book needs into $(VENV) (once: 1.8 GB, some minutes) …"
	@$(PY) -m pip install -q --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@
