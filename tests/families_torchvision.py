"""Tiny networks of torchvision's own classes: its blocks and its forwards at small widths, without
weights. Where a class fixes its widths, a subclass keeps the blocks and the forward.
"""

from __future__ import annotations

from collections.abc import Callable

from families_plain import CLASSES, pooled
from torch import nn

from easearch.data._torchvision import torchvision

densenet = torchvision("models.densenet")
efficientnet = torchvision("models.efficientnet")
googlenet = torchvision("models.googlenet")
inception = torchvision("models.inception")
mobilenetv2 = torchvision("models.mobilenetv2")
mobilenetv3 = torchvision("models.mobilenetv3")
mnasnet = torchvision("models.mnasnet")
convnext = torchvision("models.convnext")
maxvit = torchvision("models.maxvit")
regnet = torchvision("models.regnet")
resnet = torchvision("models.resnet")
shufflenetv2 = torchvision("models.shufflenetv2")
squeezenet = torchvision("models.squeezenet")
swin = torchvision("models.swin_transformer")
vgg = torchvision("models.vgg")
vit = torchvision("models.vision_transformer")

NARROWING = 16


class NarrowResNet(resnet.ResNet):
    """ResNet's blocks, stages and forward behind a stem that is not 64 wide."""

    def __init__(
        self, block: type, planes: tuple[int, ...], groups: int = 1, width_per_group: int = 64
    ) -> None:
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation = planes[0], 1
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = nn.Conv2d(3, planes[0], 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, planes[0], 2)
        self.layer2 = self._make_layer(block, planes[1], 2, stride=2)
        self.layer3 = self._make_layer(block, planes[2], 1, stride=2)
        self.layer4 = self._make_layer(block, planes[3], 1)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(planes[3] * block.expansion, CLASSES)


class NarrowVGG(vgg.VGG):
    """VGG's layers and forward with a head of two pixels a side instead of seven."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.features = vgg.make_layers([6, "M", 8, 10, "M", 12], batch_norm=True)
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Linear(12 * 2 * 2, 20),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(20, 14),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(14, CLASSES),
        )


class NarrowSqueezeNet(squeezenet.SqueezeNet):
    """Fire modules and a convolution that writes the logits, as in SqueezeNet 1.1."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            squeezenet.Fire(8, 4, 6, 7),
            squeezenet.Fire(13, 4, 6, 7),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            squeezenet.Fire(13, 5, 9, 9),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(18, CLASSES, 1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d((1, 1)),
        )


def _narrow_conv(inputs: int, outputs: int, **arguments: object) -> nn.Module:
    """Inception v3's convolution, at a part of the published widths."""
    return inception.BasicConv2d(inputs // NARROWING, outputs // NARROWING, **arguments)


def _inception_v3() -> nn.Module:
    """One block of each kind but D, which is B with factorised kernels."""
    return nn.Sequential(
        inception.BasicConv2d(3, 7, kernel_size=3, stride=2),
        inception.InceptionA(7 * NARROWING, pool_features=80, conv_block=_narrow_conv),
        inception.InceptionB(304, conv_block=_narrow_conv),
        inception.InceptionC(784, channels_7x7=128, conv_block=_narrow_conv),
        inception.InceptionE(768, conv_block=_narrow_conv),
        pooled(2048 // NARROWING),
    )


def _googlenet() -> nn.Module:
    return nn.Sequential(
        googlenet.BasicConv2d(3, 8, kernel_size=7, stride=2, padding=3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        googlenet.Inception(8, 5, 4, 7, 3, 6, 2),
        googlenet.Inception(20, 6, 5, 9, 2, 4, 3),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        googlenet.Inception(22, 7, 4, 8, 3, 5, 4),
        pooled(24),
    )


def _mobilenet_v2() -> nn.Module:
    """Its last convolution is 1280 wide whatever is asked: that one is replaced."""
    model = mobilenetv2.MobileNetV2(
        CLASSES,
        width_mult=0.25,
        inverted_residual_setting=[[1, 16, 1, 1], [3, 24, 2, 2], [2, 40, 2, 2]],
        round_nearest=2,
    )
    model.features[-1] = mobilenetv2.Conv2dNormActivation(
        10, 26, kernel_size=1, activation_layer=nn.ReLU6
    )
    model.classifier[1] = nn.Linear(26, CLASSES)
    return model


def _mobilenet_v3() -> nn.Module:
    rows = [
        (8, 3, 8, 8, True, "RE", 1, 1, 1.0),
        (8, 3, 24, 16, False, "RE", 2, 1, 1.0),
        (16, 5, 40, 16, True, "HS", 1, 1, 1.0),
        (16, 3, 32, 24, True, "HS", 2, 1, 1.0),
    ]
    blocks = [mobilenetv3.InvertedResidualConfig(*row) for row in rows]
    return mobilenetv3.MobileNetV3(blocks, last_channel=20, num_classes=CLASSES)


def _mnasnet() -> nn.Module:
    """Its last convolution is 1280 wide whatever is asked: that one is replaced."""
    model = mnasnet.MNASNet(0.06, CLASSES)
    model.layers[14] = nn.Conv2d(model.layers[14].in_channels, 28, 1, bias=False)
    model.layers[15] = nn.BatchNorm2d(28)
    model.classifier[1] = nn.Linear(28, CLASSES)
    return model


def _efficientnet() -> nn.Module:
    config = efficientnet.MBConvConfig
    stages = [config(1, 3, 1, 8, 8, 1), config(3, 3, 2, 8, 16, 2), config(2, 5, 2, 16, 24, 2)]
    return efficientnet.EfficientNet(
        stages, dropout=0.2, stochastic_depth_prob=0.2, num_classes=CLASSES, last_channel=28
    )


def _efficientnet_v2() -> nn.Module:
    fused, config = efficientnet.FusedMBConvConfig, efficientnet.MBConvConfig
    stages = [fused(1, 3, 1, 6, 6, 2), fused(4, 3, 2, 6, 16, 2), config(2, 3, 2, 16, 24, 2)]
    return efficientnet.EfficientNet(
        stages, dropout=0.2, stochastic_depth_prob=0.2, num_classes=CLASSES, last_channel=22
    )


def _regnet_y() -> nn.Module:
    stages = regnet.BlockParams(
        depths=[1, 2],
        widths=[12, 20],
        group_widths=[6, 5],
        bottleneck_multipliers=[1.0, 1.0],
        strides=[2, 2],
        se_ratio=0.25,
    )
    return regnet.RegNet(stages, CLASSES, stem_width=8)


def _densenet() -> nn.Module:
    return densenet.DenseNet(
        growth_rate=4, block_config=(2, 3, 2), num_init_features=10, bn_size=2, num_classes=CLASSES
    )


def _convnext() -> nn.Module:
    config = convnext.CNBlockConfig
    stages = [config(8, 12, 2), config(12, 18, 1), config(18, None, 1)]
    return convnext.ConvNeXt(
        stages, stochastic_depth_prob=0.1, layer_scale=0.5, num_classes=CLASSES
    )


def _vit() -> nn.Module:
    return vit.VisionTransformer(
        image_size=16,
        patch_size=4,
        num_layers=2,
        num_heads=2,
        hidden_dim=16,
        mlp_dim=22,
        dropout=0.1,
        num_classes=CLASSES,
    )


def _swin(**version: object) -> nn.Module:
    return swin.SwinTransformer(
        patch_size=[2, 2],
        embed_dim=8,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=[4, 4],
        mlp_ratio=1.5,
        num_classes=CLASSES,
        **version,
    )


def _swin_v2() -> nn.Module:
    return _swin(block=swin.SwinTransformerBlockV2, downsample_layer=swin.PatchMergingV2)


def _maxvit() -> nn.Module:
    return maxvit.MaxVit(
        input_size=(16, 16),
        stem_channels=8,
        partition_size=2,
        block_channels=[12, 16],
        block_layers=[1, 1],
        head_dim=4,
        stochastic_depth_prob=0.2,
        expansion_ratio=2,
        mlp_ratio=2,
        num_classes=CLASSES,
    )


def _awake(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """With layers drawn so that a signal passes: torchvision's heads begin near zero or at it
    (ViT), and nothing behind such a head has a gradient.
    """

    def drawn() -> nn.Module:
        model = build()
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
            elif isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight)
        return model

    return drawn


SMALL, MIDDLE, LARGE = (3, 16, 16), (3, 24, 24), (3, 48, 48)

_BUILDERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mobilenet_v2": (_mobilenet_v2, SMALL),
    "mobilenet_v3": (_mobilenet_v3, SMALL),
    "mnasnet": (_mnasnet, LARGE),
    "efficientnet": (_efficientnet, SMALL),
    "efficientnet_v2": (_efficientnet_v2, SMALL),
    "shufflenet_v2": (
        lambda: shufflenetv2.ShuffleNetV2([2, 2, 1], [6, 12, 16, 20, 26], CLASSES),
        LARGE,
    ),
    "resnet": (lambda: NarrowResNet(resnet.BasicBlock, (6, 8, 10, 12)), MIDDLE),
    "resnet_bottleneck": (lambda: NarrowResNet(resnet.Bottleneck, (4, 5, 6, 7)), MIDDLE),
    "resnext": (lambda: NarrowResNet(resnet.Bottleneck, (4, 6, 8, 10), 2, 48), MIDDLE),
    "regnet_y": (_regnet_y, SMALL),
    "densenet": (_densenet, MIDDLE),
    "googlenet": (_googlenet, SMALL),
    "inception_v3": (_inception_v3, SMALL),
    "squeezenet": (NarrowSqueezeNet, MIDDLE),
    "vgg_bn": (NarrowVGG, SMALL),
    "convnext": (_convnext, SMALL),
    "vit": (_vit, SMALL),
    "swin": (_swin, SMALL),
    "swin_v2": (_swin_v2, SMALL),
    "maxvit": (_maxvit, SMALL),
}

TORCHVISION = {name: (_awake(build), shape) for name, (build, shape) in _BUILDERS.items()}
