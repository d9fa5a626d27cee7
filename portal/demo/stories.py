"""What happened at the demo's desks: customers, templates, and stories told as steps.

A step is (minutes after the one before, what, words). What: "customer" writes, "reply" with the words or, as
"template:<name>", with a template, "note", "pick_up", "escalate", "acknowledge", "hand_back", "status:<status>".
"""

from dataclasses import dataclass

Step = tuple[int, str, str]


@dataclass(frozen=True)
class Story:
    """One ticket's course. `times` are hours before now at which copies of it began."""

    branch: str
    subject: str
    body: str
    times: tuple[float, ...]
    steps: tuple[Step, ...] = ()
    html: str = ""


@dataclass(frozen=True)
class DemoTemplate:
    name: str
    category: str
    body: str
    language: str = "en"
    shortcut: str = ""
    actions: tuple[tuple[str, str], ...] = ()


CUSTOMERS: dict[str, tuple[str, ...]] = {
    "north": (
        "Zoë Müller", "Harald Nyström", "Imani Okafor", "Lena Brandt", "Callum Reid", "Priya Raman", "Siobhán Doyle",
        "George Whitaker", "Nadia Hussain", "Tomasz Nowak", "Eleri Hughes", "Marcus Bell", "Ines Carvalho",
    ),
    "south": (
        "Anton Huber", "Katharina Vogel", "Mehmet Yıldız", "Jonas Weiß", "Magdalena Kern", "Luca Ferri", "Petra Novák",
        "Sebastian Graf",
    ),
    "west": (
        "Dana Whitfield", "Miguel Ortega", "Rachel Stein", "Andre Jackson", "Mei Chen", "Olivia Grant", "Sam Kowalski",
        "Aaliyah Brooks",
    ),
}  # fmt: skip

# What became of earlier copies of a story that has no steps of its own: answered and resolved in time.
EARLIER: tuple[Step, ...] = (
    (22, "pick_up", ""),
    (
        14,
        "reply",
        "<p>Hello,</p><p>thank you for writing. I have looked into it and put it right; you will see it today."
        "</p>",
    ),
    (95, "customer", "Great, thank you for the quick help!"),
    (25, "status:resolved", ""),
)

SIGN_OFF = "<p>Kind regards<br>{{ agent.first_name }}</p>"

TEMPLATES: tuple[DemoTemplate, ...] = (
    DemoTemplate(
        "Parcel marked delivered",
        "Delivery",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>I am sorry that your parcel is not where the '
        "tracking page says. I have asked the driver for the delivery photo and will write to you again by tomorrow "
        "noon. In nine cases out of ten a neighbour or the porter has it.</p>" + SIGN_OFF,
        shortcut="delivered",
    ),
    DemoTemplate(
        "Ask for delivery photo",
        "Delivery",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>Could you send us a photo of your front door '
        "and of the place where the driver says the parcel was left? We compare it with the driver’s own picture.</p>"
        + SIGN_OFF,
        actions=(("status", "pending"),),
    ),
    DemoTemplate(
        "Start carrier claim",
        "Delivery",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>I have opened a claim with the carrier for '
        "your order. They have five working days to answer; whatever they say, you will get your goods or your money "
        "back.</p>" + SIGN_OFF,
    ),
    DemoTemplate(
        "Refund is on its way",
        "Refund",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>we have sent your refund today. Banks take '
        "three to five working days to show it. The reference is your ticket number {{ ticket.number }}.</p>"
        + SIGN_OFF,
        shortcut="refund",
    ),
    DemoTemplate(
        "Return label",
        "Refund",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>here is how to send it back: print the label '
        "from your account under <em>Orders → Return</em>, stick it over the old one, and hand the parcel in at any "
        "shop. The refund follows within three days of its arrival.</p>" + SIGN_OFF,
    ),
    DemoTemplate(
        "Size exchange",
        "Orders",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>of course you can swap the size. Bring it to '
        "{{ branch.name }} with the receipt, or send it back and we post the other size the same day.</p>"
        + SIGN_OFF,
    ),
    DemoTemplate(
        "Cannot log in",
        "Account",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>please open the sign-in page, choose '
        "<em>Forgotten password</em> and use {{ customer.email }}. If no mail arrives within five minutes, tell me which "
        "browser you use and I will look at it from our side.</p>" + SIGN_OFF,
        shortcut="login",
        actions=(("status", "pending"),),
    ),
    DemoTemplate(
        "Invoice with another name",
        "Billing",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>attached is the invoice with the company name '
        "you gave. The former one is void; you need not send it back.</p>" + SIGN_OFF,
        actions=(("status", "resolved"),),
    ),
    DemoTemplate(
        "Charged twice",
        "Billing",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>I see both payments. One of them is only a '
        "reservation by your bank and disappears by itself within a week; if it does not, write to me and I refund it "
        "by hand.</p>" + SIGN_OFF,
    ),
    DemoTemplate(
        "Out of stock",
        "Orders",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>this item is sold out at present. We expect it '
        "in about two weeks and can put one aside for you. Shall we?</p>" + SIGN_OFF,
    ),
    DemoTemplate(
        "Damaged on arrival",
        "Delivery",
        '<p>Dear {{ customer.first_name | default("customer") }},</p><p>I am sorry that it arrived broken. Please send '
        "a photo of the damage and of the box; a replacement leaves today, and you need not return anything.</p>"
        + SIGN_OFF,
    ),
    DemoTemplate(
        "Lieferung verzögert",
        "Lieferung",
        "<p>Guten Tag {{ customer.name }},</p><p>es tut mir leid, dass Ihre Bestellung noch nicht da ist. Das Paket liegt "
        "seit gestern im Verteilzentrum und wird morgen zugestellt. Ich behalte es im Auge.</p>"
        "<p>Freundliche Grüße<br>{{ agent.first_name }}</p>",
        language="de",
    ),
    DemoTemplate(
        "Rechnung korrigiert",
        "Rechnung",
        "<p>Guten Tag {{ customer.name }},</p><p>anbei die korrigierte Rechnung. Die alte ist damit ungültig.</p>"
        "<p>Freundliche Grüße<br>{{ agent.first_name }}</p>",
        language="de",
    ),
)

STORIES: tuple[Story, ...] = (
    Story(
        "north",
        "Parcel says delivered, nothing here",
        "Hello,\n\nthe tracking page says my parcel was handed over yesterday at 16:40, but nobody was at home and there "
        "is no card. I have checked with both neighbours and the shop downstairs.\n\nOrder 88 341",
        (0.7, 78.0, 221.0),
    ),
    Story(
        "north",
        "Refund for order 88213",
        "Hi, I sent the jacket back three weeks ago and still have no refund. The tracking shows it reached you on the "
        "2nd. Can you please check?\n\nThanks",
        (52.0, 170.0),
        (
            (35, "pick_up", ""),
            (6, "template:Refund is on its way", ""),
            (
                1500,
                "customer",
                "It has now been two weeks since you wrote and there is still nothing on my account.",
            ),
        ),
    ),
    Story(
        "north",
        "Wrong size, can I swap in the shop?",
        "Hello, I ordered a 42 but need a 43. Can I swap the shoes in the shop in town, or do I have to post them? I have "
        "the receipt.",
        (1.4, 96.0),
    ),
    Story(
        "north",
        "Invoice with the old company name",
        "Good morning,\n\nour invoice 2026-1187 still carries our former company name. Our auditor insists on the new one: "
        "Okafor & Daughters Ltd.\n\nThank you",
        (30.0, 143.0, 310.0),
        (
            (48, "pick_up", ""),
            (9, "template:Invoice with another name", ""),
            (180, "customer", "Thank you, that is exactly what we needed."),
            (20, "status:resolved", ""),
        ),
    ),
    Story(
        "north",
        "Cannot log in after the move",
        "I moved house and changed my e-mail address, and now I cannot log in any more. The page only says that something "
        "went wrong.",
        (26.0,),
        (
            (55, "pick_up", ""),
            (
                7,
                "reply",
                "<p>Hello,</p><p>could you tell me which browser you use, and what exactly "
                "the page says? Then I can look for it on our side.</p>",
            ),
        ),
    ),
    Story(
        "north",
        "The kettle leaks",
        "The kettle from order 90 112 leaks from the bottom after two uses. It stands in a puddle every morning. I would "
        "like a new one or my money back.",
        (5.0, 122.0),
        (
            (40, "pick_up", ""),
            (12, "note", "<p>Third leaking kettle this week. Is this the batch from October?</p>"),
            (
                15,
                "escalate",
                "Third one of the same batch: the supplier should know before we send replacements.",
            ),
        ),
    ),
    Story(
        "north",
        "Charged twice for one order",
        "My card was charged twice for order 91 004: 64.90 on Monday and again 64.90 on Tuesday.",
        (3.2, 74.0, 196.0),
        ((25, "pick_up", ""), (8, "template:Charged twice", "")),
    ),
    Story(
        "north",
        "When will the blue lamp be back?",
        "Your site says the blue desk lamp is sold out. Do you know when it will be available again?",
        (0.2, 49.0),
    ),
    Story(
        "north",
        "URGENT: pallet refused at our warehouse",
        "Our warehouse refused the pallet because the delivery note was missing. The driver leaves at noon. Please call "
        "us.",
        (0.9, 150.0),
    ),
    Story(
        "north",
        "Voucher does not work",
        "The voucher from your newsletter (AUTUMN15) is refused at the checkout with “not valid for these items”.",
        (28.0, 102.0, 290.0),
        (
            (18, "pick_up", ""),
            (
                5,
                "reply",
                "<p>Hello,</p><p>the voucher leaves out sale items; the two chairs in your basket "
                "are on sale. Without them it works. I have added a small one for the trouble.</p>",
            ),
            (60, "customer", "Oh, I see. Thank you!"),
            (9, "status:resolved", ""),
        ),
    ),
    Story(
        "south",
        "Wo bleibt meine Bestellung?",
        "Guten Tag,\n\nmeine Bestellung 70 551 sollte letzten Freitag kommen. In der Sendungsverfolgung steht seit vier Tagen "
        "„im Verteilzentrum“.\n\nMit freundlichen Grüßen",
        (2.0, 71.0, 165.0),
        ((50, "pick_up", ""), (10, "template:Lieferung verzögert", "")),
    ),
    Story(
        "south",
        "Falsche Adresse auf der Rechnung",
        "Hallo, auf der Rechnung steht noch unsere alte Adresse in der Lindenstraße. Können Sie das bitte ändern?",
        (26.5, 120.0),
        (
            (33, "pick_up", ""),
            (6, "template:Rechnung korrigiert", ""),
            (90, "customer", "Perfekt, vielen Dank!"),
            (12, "status:resolved", ""),
        ),
    ),
    Story(
        "south",
        "Tischplatte zerkratzt",
        "Die Tischplatte kam mit einem langen Kratzer an. Fotos kann ich gern schicken.",
        (1.1, 94.0),
    ),
    Story(
        "south",
        "Rücksendung ohne Etikett",
        "Im Paket lag kein Rücksendeetikett. Wie schicke ich die Vase zurück?",
        (47.0,),
        (
            (75, "pick_up", ""),
            (30, "escalate", "Kundin wartet seit zwei Wochen, bitte Kulanz prüfen."),
            (22, "acknowledge", ""),
            (35, "hand_back", "Kulanz ist in Ordnung: Etikett per Mail, Porto zahlen wir."),
        ),
    ),
    Story(
        "west",
        "Gift card balance is wrong",
        "My gift card should have $50 on it but the site shows $5. I never used it.",
        (1.6, 80.0, 240.0),
        (
            (45, "pick_up", ""),
            (
                11,
                "reply",
                "<p>Hi,</p><p>you are right, a decimal point slipped when the card was loaded. It "
                "shows $50 now. Sorry about that!</p>",
            ),
            (240, "customer", "Works now, thanks!"),
            (30, "status:resolved", ""),
        ),
    ),
    Story(
        "west",
        "Chair arrived with a broken leg",
        "One of the four chairs arrived with a broken leg. The box was fine on the outside.",
        (4.0, 99.0),
        ((52, "pick_up", ""), (9, "template:Damaged on arrival", "")),
    ),
    Story(
        "west",
        "Change delivery date",
        "We will be away next week. Can the sofa come on the 5th instead?",
        (0.5, 54.0, 130.0),
    ),
    Story(
        "west",
        "Refund to a closed card",
        "You refunded my order to a card I closed in June. What happens to the money now?",
        (29.0,),
        (
            (65, "pick_up", ""),
            (20, "escalate", "Finance has to call the bank back; we cannot see the transfer."),
            (40, "acknowledge", ""),
            (8, "status:on_hold", ""),
        ),
    ),
)
