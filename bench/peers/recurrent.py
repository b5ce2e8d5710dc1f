"""The opponent: the recurrent translator with general attention as a careful PyTorch user writes it. The encoder runs packed, keys are
prepared once, without input feeding the decoder runs over the whole target in one call, the loss sees real tokens only, the optimiser
is the fused one."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from .search import PAD


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

    def open(self, source, rows):
        memory, key, mask, state = self.encode(source)
        past = (memory.new_zeros(len(source), 1, self.size), state)
        return [memory[rows], key[rows], mask[rows]], self.pick(past, rows)

    def advance(self, tokens, t, memory, past):
        fed, state = self.step(self.target(tokens), *past, *memory)
        return self.output(fed[:, 0]), (fed, state)

    def pick(self, past, rows):
        fed, state = past
        return fed[rows], tuple(s[:, rows] for s in state) if self.lstm else state[:, rows]
