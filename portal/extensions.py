"""Flask extensions, unbound; create_app binds them."""

import warnings

from flask_appbuilder import AppBuilder, Model
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

with warnings.catch_warnings():
    # It tells every start that bleach is missing; what comes from outside is cleaned with nh3.
    warnings.simplefilter("ignore", UserWarning)
    from flask_ckeditor import CKEditor

# Set before FAB's security models are imported, so that their constraints get names too.
Model.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

db = SQLAlchemy(
    model_class=Model,
    engine_options={
        "pool_pre_ping": True,
        "pool_size": 10,
        "max_overflow": 20,
        "connect_args": {"connect_timeout": 5, "options": "-c timezone=UTC -c statement_timeout=30000"},
    },
)
migrate = Migrate(compare_type=True)
appbuilder = AppBuilder()
ckeditor = CKEditor()
csrf = CSRFProtect()
limiter = Limiter(get_remote_address)
