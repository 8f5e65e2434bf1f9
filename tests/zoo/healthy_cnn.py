"""Convolutional nets that are well."""

import torch
from tests.zoo.case import case
from tests.zoo.data import text
from tests.zoo.loops import adam, adamw, classify, next_character, reconstruct, sgd
from tests.zoo.models import GlobalMean, cnn
from torch import nn
from torch.nn import functional as F


def cnn_case(name, note, **fields):
    return case(name, family="cnn", note=note, **({"steps": 50} | fields))


def learn(model, optimizer, **options):
    return classify(model, optimizer, **({"images": True, "size": 32} | options))


class Residual(nn.Module):
    """x + conv(relu(conv(x))), each convolution followed by `norm`."""

    def __init__(self, channels, norm=nn.BatchNorm2d, relu_after=True):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1, self.norm2 = norm(channels), norm(channels)
        self.relu_after = relu_after

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(x + y) if self.relu_after else x + y


def resnet(blocks, channels=12, block=Residual, **options):
    return nn.Sequential(
        nn.Conv2d(1, channels, 3, padding=1),
        *[block(channels, **options) for _ in range(blocks)],
        GlobalMean(),
        nn.Linear(channels, 10),
    )


@cnn_case("lenet-tanh", "LeCun's net: two convolutions, pooling, tanh.")
def _():
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 3, padding=1),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 84),
        nn.Tanh(),
        nn.Linear(84, 10),
    )
    return learn(model, sgd(model, 0.1, momentum=0.9))


@cnn_case("cnn-4-he-adam", "Four convolutions, He's init.", steps=80)
def _():
    model = cnn(4, 24, nn.ReLU, "he")
    return learn(model, adam(model, 5e-3))


@cnn_case("cnn-8-batchnorm", "Eight convolutions with BatchNorm.")
def _():
    model = cnn(8, 16, nn.ReLU, "he", norm=nn.BatchNorm2d)
    return learn(model, adam(model, 5e-3))


@cnn_case("vgg-11-he-maxpool", "A small VGG.")
def _():
    layers = []
    channels = 1
    for width in (16, 16, "pool", 32, 32, "pool", 48, 48):
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
            continue
        conv = nn.Conv2d(channels, width, 3, padding=1)
        nn.init.kaiming_normal_(conv.weight)
        layers += [conv, nn.ReLU(inplace=True)]
        channels = width
    model = nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(48 * 4, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10)
    )
    return learn(model, adamw(model, 2e-3))


@cnn_case("resnet-12-batchnorm", "Twelve residual blocks with BatchNorm.")
def _():
    model = resnet(12)
    return learn(model, adam(model, 3e-3))


@cnn_case("resnet-8-batchnorm-sgd", "Eight residual blocks, SGD with momentum and weight decay.")
def _():
    model = resnet(8)
    return learn(model, sgd(model, 0.05, momentum=0.9, weight_decay=5e-4))


@cnn_case("resnet-10-preactivation", "No ReLU after the addition.", steps=70)
def _():
    model = resnet(10, relu_after=False)
    return learn(model, adam(model, 3e-3))


@cnn_case("resnet-8-groupnorm", "GroupNorm in place of BatchNorm.", steps=70)
def _():
    model = resnet(8, norm=lambda channels: nn.GroupNorm(4, channels))
    return learn(model, adam(model, 3e-3))


class Fixup(nn.Module):
    """Zhang et al. 2019: no norm; the last convolution of each branch starts at zero."""

    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.kaiming_normal_(self.conv1.weight)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


@cnn_case(
    "resnet-12-no-norm-zero-init", "Residual blocks without norm whose last convolution starts at zero."
)
def _():
    model = resnet(12, block=Fixup)
    return learn(model, adam(model, 2e-3))


@cnn_case("resnet-8-zero-gamma", "The last BatchNorm of each block starts at gamma = 0 (Goyal et al. 2017).")
def _():
    model = resnet(8)
    for module in model:
        if isinstance(module, Residual):
            nn.init.zeros_(module.norm2.weight)
    return learn(model, adam(model, 3e-3))


class SqueezeExcite(nn.Module):
    """MobileNetV3-like: depthwise and pointwise convolutions, sigmoid channel gates, hard swish, skip."""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.squeeze = nn.Linear(channels, channels // 4)
        self.excite = nn.Linear(channels // 4, channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        y = F.hardswish(self.norm(self.depthwise(x)))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(y.mean((2, 3))))))
        return x + self.pointwise(y * gate[:, :, None, None])


@cnn_case("depthwise-squeeze-excite", "Depthwise separable blocks with sigmoid gates.", steps=80)
def _():
    model = resnet(5, channels=16, block=SqueezeExcite)
    return learn(model, adam(model, 1e-2))


class Dense(nn.Module):
    """A DenseNet block: each layer sees all maps before it."""

    def __init__(self, channels, growth=6, depth=5):
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(
                    nn.BatchNorm2d(channels + i * growth),
                    nn.ReLU(),
                    nn.Conv2d(channels + i * growth, growth, 3, padding=1),
                )
                for i in range(depth)
            ]
        )

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return x


@cnn_case("densenet", "Concatenation in place of addition.")
def _():
    model = nn.Sequential(nn.Conv2d(1, 10, 3, padding=1), Dense(10), GlobalMean(), nn.Linear(40, 10))
    return learn(model, adam(model, 5e-3))


class UNet(nn.Module):
    """Down twice, up twice, skips by concatenation."""

    def __init__(self, width=12):
        super().__init__()
        self.down1 = nn.Conv2d(1, width, 3, padding=1)
        self.down2 = nn.Conv2d(width, 2 * width, 3, padding=1, stride=2)
        self.middle = nn.Conv2d(2 * width, 2 * width, 3, padding=1, stride=2)
        self.up2 = nn.ConvTranspose2d(2 * width, 2 * width, 2, stride=2)
        self.up1 = nn.ConvTranspose2d(4 * width, width, 2, stride=2)
        self.out = nn.Conv2d(2 * width, 1, 3, padding=1)

    def forward(self, x):
        one = F.relu(self.down1(x))
        two = F.relu(self.down2(one))
        three = F.relu(self.middle(two))
        up = torch.cat([F.relu(self.up2(three)), two], dim=1)
        up = torch.cat([F.relu(self.up1(up)), one], dim=1)
        return self.out(up)


@cnn_case("unet-denoising", "The skips carry most of the signal, the middle little: by design.", steps=80)
def _():
    model = UNet()
    generator = torch.Generator().manual_seed(1)

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x):
            return self.net(x + 0.3 * torch.randn(x.shape, generator=generator))

    noisy = Noisy()
    return reconstruct(noisy, adam(noisy, 3e-3), images=True, size=32)


@cnn_case("cnn-channels-last", "Channels-last memory format.")
def _():
    model = cnn(4, 16, nn.ReLU, "he", norm=nn.BatchNorm2d).to(memory_format=torch.channels_last)
    model.register_forward_pre_hook(
        lambda module, inputs: tuple(x.contiguous(memory_format=torch.channels_last) for x in inputs)
    )
    return learn(model, adam(model, 5e-3))


@cnn_case("cnn-strided-leaky-no-bias", "Strided convolutions, leaky ReLU, no biases.", steps=70)
def _():
    sizes = [1, 16, 32, 48]
    layers = []
    for i in range(3):
        layers += [nn.Conv2d(sizes[i], sizes[i + 1], 3, padding=1, stride=2, bias=False), nn.LeakyReLU(0.1)]
    model = nn.Sequential(*layers, GlobalMean(), nn.Linear(48, 10))
    return learn(model, adam(model, 5e-3))


@cnn_case("cnn-inplace-and-dropout2d", "In-place activations and channel dropout.", steps=80)
def _():
    model = nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout2d(0.1),
        nn.Conv2d(24, 24, 3, padding=1, stride=2),
        nn.ELU(inplace=True),
        nn.Flatten(),
        nn.Linear(24 * 16, 10),
    )
    return learn(model, adam(model, 3e-3))


class GatedConv(nn.Module):
    """WaveNet's block: tanh times sigmoid, dilated, causal, residual."""

    def __init__(self, width, dilation):
        super().__init__()
        self.dilation = dilation
        self.both = nn.Conv1d(width, 2 * width, 2, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)

    def forward(self, x):
        a, b = self.both(F.pad(x, (self.dilation, 0))).chunk(2, dim=1)
        return x + self.out(torch.tanh(a) * torch.sigmoid(b))


@cnn_case("wavenet-gated-text", "Sixteen gated dilated convolutions with skips on characters.", steps=60)
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(text()[1], 32)
            self.blocks = nn.Sequential(*[GatedConv(32, 2 ** (i % 4)) for i in range(16)])
            self.head = nn.Linear(32, text()[1])

        def forward(self, tokens):
            return self.head(self.blocks(self.embedding(tokens).transpose(1, 2)).transpose(1, 2))

    model = Net()
    return next_character(model, adam(model, 5e-3), size=16)


class Mixer(nn.Module):
    """MLP-Mixer: one MLP over patches, one over channels, both with skips."""

    def __init__(self, patches=16, width=32):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.over_patches = nn.Sequential(nn.Linear(patches, 32), nn.GELU(), nn.Linear(32, patches))
        self.over_channels = nn.Sequential(nn.Linear(width, 64), nn.GELU(), nn.Linear(64, width))

    def forward(self, x):
        x = x + self.over_patches(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.over_channels(self.norm2(x))


@cnn_case("mlp-mixer", "Four mixer blocks on 2x2 patches.")
def _():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(1, 32, 2, stride=2)
            self.blocks = nn.Sequential(*[Mixer() for _ in range(4)])
            self.head = nn.Linear(32, 10)

        def forward(self, x):
            return self.head(self.blocks(self.patches(x).flatten(2).transpose(1, 2)).mean(1))

    model = Net()
    return learn(model, adam(model, 3e-3))


@cnn_case("inception-branches", "Four parallel branches of different depth, concatenated.")
def _():
    class Inception(nn.Module):
        def __init__(self, channels):
            super().__init__()
            quarter = channels // 4
            self.one = nn.Conv2d(channels, quarter, 1)
            self.three = nn.Sequential(
                nn.Conv2d(channels, quarter, 1), nn.ReLU(), nn.Conv2d(quarter, quarter, 3, padding=1)
            )
            self.five = nn.Sequential(
                nn.Conv2d(channels, quarter, 1), nn.ReLU(), nn.Conv2d(quarter, quarter, 5, padding=2)
            )
            self.pool = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(channels, quarter, 1))

        def forward(self, x):
            return F.relu(torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], dim=1))

    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), Inception(32), Inception(32), GlobalMean(), nn.Linear(32, 10)
    )
    return learn(model, adam(model, 1e-2))
