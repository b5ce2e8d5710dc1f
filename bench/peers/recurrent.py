"""The opponent: the recurrent translator with general attention as a careful PyTorch user writes it. The encoder runs packed, keys are
prepared once, without input feeding the decoder runs over the whole target in one call, the loss sees real tokens only, the optimiser
is the fused one; decoding sorts by length, keeps one search going for a batch and drops finished sentences."""
import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, UNK, BOS, EOS = 0, 1, 2, 3


class Translator(nn.Module):
    def __init__(self, vocabulary, cell="gru", feed=False, embedding=256, encoder=256, size=512, dropout=0.3):
        super().__init__()
        rnn = nn.LSTM if cell == "lstm" else nn.GRU
        self.lstm, self.feed, self.size = cell == "lstm", feed, size
        self.source = nn.Embedding(vocabulary, embedding, PAD)
        self.target = nn.Embedding(vocabulary, embedding, PAD)
        self.encoder = rnn(embedding, encoder, batch_first=True, bidirectional=True)
        self.decoder = rnn(embedding + (size if feed else 0), size, batch_first=True)
        self.bridge = nn.Linear(2 * encoder, size)
        self.key = nn.Linear(2 * encoder, size, bias=False)
        self.combine = nn.Linear(size + 2 * encoder, size)
        self.output = nn.Linear(size, vocabulary)
        self.dropout = nn.Dropout(dropout)
        for name, p in self.named_parameters():
            if p.dim() > 1 and not name.startswith(("source", "target")):
                nn.init.xavier_uniform_(p)
            elif p.dim() == 1:
                nn.init.zeros_(p)

    def encode(self, source):
        lengths = (source != PAD).sum(1)
        packed = nn.utils.rnn.pack_padded_sequence(self.dropout(self.source(source)), lengths, batch_first=True, enforce_sorted=False)
        states, last = self.encoder(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        last = last[0] if self.lstm else last
        h = torch.tanh(self.bridge(torch.cat([last[0], last[1]], 1)))[None]
        return states, self.key(states).transpose(1, 2), (source == PAD)[:, None], (h, torch.zeros_like(h)) if self.lstm else h

    def attend(self, query, memory, key, mask):
        weights = torch.bmm(query, key).masked_fill(mask, -1e9).softmax(-1)
        return self.dropout(torch.tanh(self.combine(torch.cat([query, torch.bmm(weights, memory)], -1))))

    def step(self, x, fed, state, memory, key, mask):
        query, state = self.decoder(torch.cat([x, fed], -1) if self.feed else x, state)
        return self.attend(query, memory, key, mask), state

    def forward(self, source, inputs, targets):
        memory, key, mask, state = self.encode(source)
        x = self.dropout(self.target(inputs))
        if self.feed:
            fed, outputs = x.new_zeros(len(source), 1, self.size), []
            for t in range(x.shape[1]):
                fed, state = self.step(x[:, t:t + 1], fed, state, memory, key, mask)
                outputs.append(fed)
            y = torch.cat(outputs, 1)
        else:
            y = self.attend(self.decoder(x, state)[0], memory, key, mask)
        real = targets != PAD
        return F.cross_entropy(self.output(y[real]), targets[real])

    @torch.inference_mode()
    def translate(self, source, beam, longest):
        """source (B, S) sorted by length, longest first -> a list of ids for each row."""
        memory, key, mask, state = self.encode(source)
        done = [None] * len(source)
        alive = torch.arange(len(source))  # sentence of each group of `beam` rows
        pick = (lambda t, i: tuple(s[:, i] for s in t)) if self.lstm else (lambda t, i: t[:, i])
        rows = alive.repeat_interleave(beam)
        memory, key, mask, state = memory[rows], key[rows], mask[rows], pick(state, rows)
        tokens = torch.full((len(rows), 1), BOS)
        fed = memory.new_zeros(len(rows), 1, self.size)
        outputs = torch.empty(len(rows), 0, dtype=torch.long)
        scores = torch.full((len(source), beam), -1e9)
        scores[:, 0] = 0
        finished = [[] for _ in range(len(source))]
        for t in range(longest):
            fed, state = self.step(self.target(tokens), fed, state, memory, key, mask)
            if beam == 1:
                tokens = self.output(fed[:, 0]).argmax(-1, keepdim=True)
                outputs = torch.cat([outputs, tokens], 1)
                over = (tokens[:, 0] == EOS).tolist()
                for row, end in enumerate(over):
                    if end:
                        done[alive[row]] = outputs[row, :-1].tolist()
                keep = [row for row, end in enumerate(over) if not end]
                groups = keep
            else:
                log_probs = F.log_softmax(self.output(fed[:, 0]), -1)
                vocabulary = log_probs.shape[1]
                best, index = (scores.view(-1, 1) + log_probs).view(len(alive), -1).topk(2 * beam, 1)
                parent, token = index // vocabulary, index % vocabulary
                best_l, parent_l, token_l = best.tolist(), parent.tolist(), token.tolist()
                keep, groups, new_tokens, new_scores = [], [], [], []
                for g in range(len(alive)):
                    chosen = []
                    for rank in range(2 * beam):
                        row = g * beam + parent_l[g][rank]
                        if token_l[g][rank] == EOS:
                            if rank < beam:
                                finished[alive[g]].append((best_l[g][rank] / (t + 1), outputs[row].tolist()))
                        elif len(chosen) < beam:
                            chosen.append((row, token_l[g][rank], best_l[g][rank]))
                    if len(finished[alive[g]]) >= beam:
                        done[alive[g]] = max(finished[alive[g]])[1]
                        continue
                    groups.append(g)
                    keep += [c[0] for c in chosen]
                    new_tokens += [c[1] for c in chosen]
                    new_scores.append([c[2] for c in chosen])
                scores = torch.tensor(new_scores)
                tokens = torch.tensor(new_tokens).view(-1, 1)
                outputs = torch.cat([outputs[keep], tokens], 1) if keep else outputs
            if not keep:
                break
            if beam > 1 or len(keep) < len(alive):
                index = torch.tensor(keep)
                fed, state = fed[index], pick(state, index)
                if beam == 1:
                    tokens, outputs = tokens[index], outputs[index]
                if len(groups) < len(alive):
                    at = torch.tensor([g * beam + b for g in groups for b in range(beam)]) if beam > 1 else index
                    memory, key, mask = memory[at], key[at], mask[at]
                    alive = alive[torch.tensor(groups)]
        for g, sentence in enumerate(alive.tolist()):
            if done[sentence] is None:
                done[sentence] = max(finished[sentence])[1] if finished[sentence] else outputs[g * beam].tolist()
        return done


def pad(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
